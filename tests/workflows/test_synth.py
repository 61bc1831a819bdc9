from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.csv_rows import rows_of

from supcam.core.types import ClusterType, CompositionError, ConfigError, SupcamError
from supcam.data.laboratory import Laboratory, virtual_laboratory
from supcam.data.virtual_metaphase import draw_virtual_metaphase
from supcam.workflows import synth as errand
from supcam.workflows.classify import Listener
from supcam.workflows.synth import SynthConfig, SynthPlan, asked_of, read_synth_config, synth

SMALL = SynthConfig.model_validate(
    {
        "metaphase": {
            "karyotype": "23,X",
            "contact_shares": {"instance": 8, "touching": 1, "overlapping": 1},
            "n_nuclei": (0, 0),
            "n_debris": (1, 1),
        }
    }
)
NOTHING = {"karyotype": "", "contacts": "", "size": None, "picture_format": "png"}


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_same_seed_makes_the_same_files_and_more_pictures_change_none(tmp_path: Path) -> None:
    for name, n in (("one", 2), ("again", 2), ("more", 3)):
        synth(SynthPlan(n=n, seed=5, laboratory="8", output=tmp_path / name, config=SMALL))
    one, again, more = (files_of(tmp_path / name) for name in ("one", "again", "more"))
    assert one == again
    for name in one:
        if name.split("/")[0] in ("images", "labels", "annotations"):
            assert more[name] == one[name]
    synth(SynthPlan(n=1, seed=6, laboratory="8", output=tmp_path / "other", config=SMALL))
    assert files_of(tmp_path / "other")["images/000000.png"] != one["images/000000.png"]


def test_laboratories_take_turns_and_stand_in_the_configuration(tmp_path: Path) -> None:
    heard: list[object] = []
    listener = Listener(started=lambda total: heard.append(("of", total)), advanced=heard.append)
    summary = synth(SynthPlan(n=3, seed=0, output=tmp_path / "set", config=SMALL), listener=listener)
    assert [row["laboratory"] for row in rows_of(tmp_path / "set" / "images.csv")] == ["0", "1", "2"]
    about = json.loads((tmp_path / "set" / "config.json").read_text())
    assert (about["seed"], about["n"]) == (0, 3)
    assert len(about["laboratories"]) == 20
    assert Laboratory.model_validate(about["laboratories"][2]) == virtual_laboratory(2)
    assert about["metaphase"]["karyotype"] == "23,X"
    assert heard == [("of", 3), 1, 1, 1]
    assert summary.n_pictures == 3
    objects = rows_of(tmp_path / "set" / "objects.csv")
    assert summary.kinds.total() == len(objects)
    assert summary.found.total() == sum(row["kind"] == "chromosomes" for row in objects)
    assert summary.told().startswith("3 metaphases: ")


def test_sheet_shows_chromosomes_of_all_pictures(tmp_path: Path) -> None:
    synth(SynthPlan(n=2, laboratory="8", sheet=tmp_path / "sheet.png", config=SMALL))
    assert [each.name for each in tmp_path.iterdir()] == ["sheet.png"]
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    assert sheet is not None
    assert sheet.ndim == 2
    tiles = [
        sheet[top : top + 128, left : left + 128]
        for top in range(0, sheet.shape[0], 146)
        for left in range(0, sheet.shape[1], 132)
    ]
    shown = [tile for tile in tiles if tile.std() > 5]
    assert len(shown) >= 20
    assert all(tile[44:84, 44:84].min() < 160 for tile in shown)


def test_own_laboratory_is_used_in_place_of_virtual_ones(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        '[metaphase]\nkaryotype = "23,X"\nn_debris = [0, 0]\n'
        '[laboratory]\nname = "ours"\nwidth_px = 12\npicture_px = [500, 620]\n'
    )
    config = read_synth_config(tmp_path / "c.toml", asked={})
    synth(SynthPlan(n=1, output=tmp_path / "set", config=config))
    (row,) = rows_of(tmp_path / "set" / "images.csv")
    assert (row["laboratory"], row["height"], row["width"]) == ("ours", "500", "620")
    with pytest.raises(ConfigError, match="laboratory"):
        synth(SynthPlan(n=1, laboratory="3", output=tmp_path / "other", config=config))


def test_options_stand_above_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[metaphase]\nkaryotype = "46,XX"\nn_nuclei = [2, 2]\n')
    asked = asked_of(
        karyotype="47,xy,+21", contacts="touching=2, heap", size=(900, 640), picture_format="tiff"
    )
    plan = read_synth_config(tmp_path / "c.toml", asked=asked).metaphase
    assert (plan.karyotype, plan.n_nuclei) == ("47,XY,+21", (2, 2))
    assert plan.contact_shares == {"touching": 2.0, "heap": 1.0}
    assert (plan.picture_px, plan.bit_depth) == ((640, 900), 16)
    assert asked_of(karyotype="", contacts="", size=None, picture_format="png") == {}


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"karyotype": "46,XX,t(1;2)"}, "t\\(1;2\\)"),
        ({"contacts": "crossing=1"}, "crossing"),
        ({"contacts": "touching=much"}, "much"),
        ({"contacts": "touching=-1"}, "negative"),
        ({"size": (3, 900)}, "64"),
    ],
)
def test_options_that_say_nothing_known_are_refused(wrong: dict[str, object], found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        read_synth_config(None, asked=asked_of(**{**NOTHING, **wrong}))  # type: ignore[arg-type]


def test_laboratory_that_is_no_number_and_a_run_without_a_place_are_refused(tmp_path: Path) -> None:
    for name in ("first", "-1", "1.5", ""):
        with pytest.raises(ConfigError, match="a number from 0, or all"):
            synth(SynthPlan(laboratory=name, output=tmp_path / "set", config=SMALL))
    with pytest.raises(SupcamError, match="nowhere to write"):
        synth(SynthPlan())
    assert not [*tmp_path.iterdir()]


def test_metaphase_that_cannot_be_drawn_leaves_nothing(tmp_path: Path) -> None:
    tight = SynthConfig.model_validate(
        {"metaphase": {"karyotype": "23,X", "contact_shares": {"instance": 1}, "picture_px": (80, 90)}}
    )
    with pytest.raises(CompositionError, match="larger picture"):
        synth(SynthPlan(laboratory="8", output=tmp_path / "set", sheet=tmp_path / "s.png", config=tight))
    assert not [*tmp_path.iterdir()]


def test_draw_that_failed_is_tried_again_with_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    real = draw_virtual_metaphase

    def failing_twice(rng: np.random.Generator, **asked: object) -> object:
        calls.append(rng.random())
        if len(calls) < 3:
            raise CompositionError("bad luck", expected="x", remedy="y")
        return real(rng, **asked)  # type: ignore[arg-type]

    monkeypatch.setattr(errand, "draw_virtual_metaphase", failing_twice)
    metaphase = errand.draw(SynthPlan(config=SMALL), laboratory=virtual_laboratory(8), index=0)
    assert metaphase.n_chromosomes == 23
    assert len(set(calls)) == 3


def test_types_of_objects_are_the_four(tmp_path: Path) -> None:
    synth(SynthPlan(n=1, laboratory="8", output=tmp_path / "set", config=SMALL))
    types = {row["type"] for row in rows_of(tmp_path / "set" / "objects.csv")}
    assert types <= {"", *(kind.label for kind in ClusterType)}
