from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.csv_rows import rows_of
from tests.drawn_pieces import composer

from supcam.core.config import ImageConfig
from supcam.core.image import read_grey, to_stain
from supcam.core.types import ClusterType, SupcamError
from supcam.data.composition import Composed
from supcam.data.harvest import LeftOut
from supcam.workflows.composed_set import ComposedSet, Named, encode_png, to_grey, write_sheet


def sample(seed: int = 0, *, kind: ClusterType | None = None) -> Composed:
    return composer().draw(np.random.default_rng(seed), kind=kind)


def named(seed: int = 0) -> Named:
    made = sample(seed)
    return Named(made, parents=tuple(f"picture {i}" for i in range(len(made.parents))))


def read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


@contextmanager
def only(folder: Path, *names: str) -> Iterator[None]:
    """Afterwards nothing else lies in the folder: no passing files are left."""
    yield
    assert sorted(each.name for each in folder.iterdir()) == sorted(names)


# Data set -------------------------------------------------------------------------------------------------


def test_tables_pictures_and_masks_belong_together(tmp_path: Path) -> None:
    made = [named(seed) for seed in range(5)]
    with only(tmp_path, "set"), ComposedSet(tmp_path / "set") as folder:
        for one in made:
            folder.add(one)
        folder.keep({"seed": 3}, left_out=[LeftOut(Path("a.png"), "too small")])
    root = tmp_path / "set"
    labels, compositions = rows_of(root / "labels.csv"), rows_of(root / "compositions.csv")
    assert [row["path"] for row in labels] == [row["path"] for row in compositions]
    for one, label, composition in zip(made, labels, compositions, strict=True):
        assert label["path"].startswith(f"{int(one.sample.type)}/")
        assert (label["type"], label["n_chromosomes"]) == (
            one.sample.type.label,
            str(one.sample.n_chromosomes),
        )
        assert (label["source"], label["case"]) == ("drawn", one.sample.parents[0].group.split("/")[1])
        assert composition["parents"].split(";") == list(one.parents)
        contacts = [contact.value for contact in one.sample.contacts]
        assert composition["contacts"] == ";".join(contacts)
        with np.load(root / composition["masks"]) as stored:
            np.testing.assert_array_equal(stored["masks"], one.sample.masks)
        np.testing.assert_array_equal(read(root / label["path"]), to_grey(one.sample.stain))
    assert rows_of(root / "left_out.csv") == [{"path": "a.png", "reason": "too small"}]
    assert json.loads((root / "config.json").read_text())["seed"] == 3


def test_partners_of_several_cases_are_all_named(tmp_path: Path) -> None:
    made = sample(kind=ClusterType.TOUCHING)
    first, *others = made.parents
    mixed = (replace(first, group="lab/9/cell"), *(replace(one, group="lab/7/4/cell") for one in others))
    with ComposedSet(tmp_path / "set") as folder:
        folder.add(Named(replace(made, parents=mixed), parents=("a",) * len(mixed)))
        folder.keep({})
    (row,) = rows_of(tmp_path / "set" / "labels.csv")
    assert (row["source"], row["case"]) == ("lab", "9+7/4")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("precious")
    with only(tmp_path, "set"), pytest.raises(SupcamError, match="something there already"):
        ComposedSet(tmp_path / "set")
    assert (tmp_path / "set" / "mine.txt").read_text() == "precious"


def test_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with ComposedSet(tmp_path / "set") as folder:
        folder.add(named())
        folder.keep({})
    assert (tmp_path / "set" / "labels.csv").is_file()


def test_set_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    def stopped_half_way() -> None:
        with ComposedSet(tmp_path / "set") as folder:
            folder.add(named())
            raise KeyboardInterrupt

    with only(tmp_path), pytest.raises(KeyboardInterrupt):
        stopped_half_way()


def test_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(SupcamError, match="cannot be written"),
        ComposedSet(tmp_path / "file" / "set") as folder,
    ):
        folder.keep({})


# Pictures -------------------------------------------------------------------------------------------------


def test_grey_is_read_back_as_the_same_stain(tmp_path: Path) -> None:
    """To within the steps of 8 bits: one grey level at 255 is 0.002, at 20 it is 0.02."""
    made = sample(3)
    (tmp_path / "a.png").write_bytes(encode_png(to_grey(made.stain)))
    config = ImageConfig()
    stain = to_stain(read_grey(tmp_path / "a.png", config=config), config=config)
    assert float(np.abs(stain - made.stain).max()) < 0.03
    assert not stain[made.stain == 0].any()


def test_background_is_exact_white_and_nothing_is_black() -> None:
    grey = to_grey(np.array([[0.0, 0.3, 0.9, 50.0]], np.float32))
    assert grey.tolist() == [[255, 128, 32, 1]]


@pytest.mark.parametrize("n", [1, 2, 7])
def test_sheet_shows_all_samples_in_order_of_type(tmp_path: Path, n: int) -> None:
    made = [sample(seed) for seed in range(n)]
    with only(tmp_path, "sheet.png"):
        write_sheet(made, path=tmp_path / "sheet.png")
    sheet = read(tmp_path / "sheet.png")
    assert sheet.ndim == 2
    first = min(made, key=lambda one: (one.type, one.n_chromosomes))
    np.testing.assert_array_equal(sheet[:128, :128], to_grey(first.stain))
    tiles = [
        sheet[top : top + 128, left : left + 128]
        for top in range(0, sheet.shape[0], 128 + 18)
        for left in range(0, sheet.shape[1], 128 + 4)
    ]
    for one in made:
        assert any(np.array_equal(tile, to_grey(one.stain)) for tile in tiles)
    captions = sheet[128 : 128 + 18]
    assert captions.min() < 60


def test_png_keeps_sixteen_bits() -> None:
    deep = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    back = cv2.imdecode(np.frombuffer(encode_png(deep), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(back, deep)


def test_sheet_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with only(tmp_path), pytest.raises(SupcamError, match="cannot be written"):
        write_sheet([sample()], path=tmp_path / "nowhere" / "sheet.png")
