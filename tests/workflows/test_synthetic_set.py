"""Everything that is known of a virtual metaphase lies on disk, and every file says the same."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from tests.csv_rows import rows_of

from supcam.core.config import ForegroundConfig, ImageConfig
from supcam.core.image import read_grey
from supcam.core.rle import decode_rle
from supcam.core.types import SupcamError
from supcam.data.harvest import harvest_metaphases
from supcam.data.karyotype import parse_karyotype
from supcam.data.laboratory import virtual_laboratory
from supcam.data.manifest import AnnotatedPicture, read_manifest
from supcam.data.slide import ObjectKind
from supcam.data.virtual_metaphase import MetaphasePlan, VirtualMetaphase, draw_virtual_metaphase
from supcam.workflows.synthetic_set import SyntheticSet

N = 2


def drawn(seed: int, *, bit_depth: int = 8) -> VirtualMetaphase:
    plan = MetaphasePlan.model_validate(
        {"karyotype": "24,X,+21", "n_nuclei": (1, 1), "n_debris": (2, 2), "bit_depth": bit_depth}
    )
    return draw_virtual_metaphase(np.random.default_rng(seed), laboratory=virtual_laboratory(8), plan=plan)


@pytest.fixture(scope="module")
def metaphases() -> list[VirtualMetaphase]:
    return [drawn(seed) for seed in range(N)]


@pytest.fixture(scope="module")
def root(metaphases: list[VirtualMetaphase], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "set"
    with SyntheticSet(folder) as made:
        for metaphase in metaphases:
            made.add(metaphase)
        made.keep({"seed": 0})
    return folder


def coco_of(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def picture(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def test_nothing_else_lies_in_the_folder(root: Path) -> None:
    assert sorted(each.name for each in root.iterdir()) == [
        "annotations",
        "chromosomes.csv",
        "coco.json",
        "config.json",
        "images",
        "images.csv",
        "labels",
        "objects.csv",
        "objects.json",
    ]
    assert [each.name for each in root.parent.iterdir()] == ["set"]


def test_pictures_and_labels_are_those_that_were_drawn(
    root: Path, metaphases: list[VirtualMetaphase]
) -> None:
    for number, metaphase in enumerate(metaphases):
        assert np.array_equal(picture(root / "images" / f"{number:06d}.png"), metaphase.pixels)
        labels = picture(root / "labels" / f"{number:06d}.png")
        assert labels.dtype == np.uint16
        assert np.array_equal(labels, metaphase.labels)


def test_table_of_pictures_counts_what_the_other_tables_list(
    root: Path, metaphases: list[VirtualMetaphase]
) -> None:
    objects, chromosomes = rows_of(root / "objects.csv"), rows_of(root / "chromosomes.csv")
    rows = rows_of(root / "images.csv")
    assert [row["image"] for row in rows] == ["000000.png", "000001.png"]
    for row, metaphase in zip(rows, metaphases, strict=True):
        mine = [one for one in objects if one["image"] == row["image"]]
        assert int(row["n_objects"]) == len(mine) == len(metaphase.objects)
        assert int(row["n_chromosomes"]) == sum(int(one["n_chromosomes"]) for one in mine) == 24
        names = [one["chromosome"] for one in chromosomes if one["image"] == row["image"]]
        assert Counter(names) == Counter(parse_karyotype(row["karyotype"]).chromosomes)
        assert (int(row["height"]), int(row["width"])) == metaphase.pixels.shape
        assert (row["karyotype"], row["laboratory"]) == ("24,X,+21", "8")


def test_table_of_objects_agrees_with_the_label_pictures(
    root: Path, metaphases: list[VirtualMetaphase]
) -> None:
    rows = rows_of(root / "objects.csv")
    for number, metaphase in enumerate(metaphases):
        labels = picture(root / "labels" / f"{number:06d}.png")
        mine = [row for row in rows if row["image"] == f"{number:06d}.png"]
        for row, one in zip(mine, metaphase.objects, strict=True):
            ys, xs = np.nonzero(labels == int(row["object_id"]))
            box = [int(row[name]) for name in ("top", "left", "bottom", "right")]
            assert box == [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
            assert int(row["area_px"]) == ys.size
            assert row["type"] == ("" if one.type is None else one.type.label)
            assert row["chromosomes"] == "+".join(one.chromosomes)
            assert row["kind"] == one.kind.value
            assert row["found"] in ("whole", "split", "merged", "missed")


def test_coco_holds_one_mask_a_chromosome_that_other_programs_read(
    root: Path, metaphases: list[VirtualMetaphase]
) -> None:
    coco = coco_of(root / "coco.json")
    names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
    assert [*names.values()] == [*map(str, range(1, 23)), "X", "Y"]
    for number, metaphase in enumerate(metaphases):
        (image,) = coco.loadImgs([number + 1])
        assert image["file_name"] == f"images/{number:06d}.png"
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[number + 1]))
        found = Counter(names[each["category_id"]] for each in annotations)
        assert found == Counter(parse_karyotype("24,X,+21").chromosomes)
        bodies = [
            (k, name, body, one.box)
            for k, one in enumerate(metaphase.objects, 1)
            if one.chromosomes
            for name, body in zip(one.chromosomes, one.masks, strict=True)
        ]
        for each, (k, name, body, box) in zip(annotations, bodies, strict=True):
            mask = coco.annToMask(each).astype(bool)
            assert (each["object_id"], names[each["category_id"]]) == (k, name)
            assert np.array_equal(mask[box.slices], body)
            assert mask.sum() == body.sum() == each["area"]
            left, top, width, height = each["bbox"]
            assert mask[top : top + height, left : left + width].sum() == each["area"]
            assert np.array_equal(mask, decode_rle(each["segmentation"]))


def test_coco_of_objects_has_types_and_shares_its_masks_with_the_labels(
    root: Path, metaphases: list[VirtualMetaphase]
) -> None:
    coco = coco_of(root / "objects.json")
    names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
    assert {"instance", "touching_overlapping", "nucleus", "debris"} <= set(names.values())
    for number, metaphase in enumerate(metaphases):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[number + 1]))
        for each, one in zip(annotations, metaphase.objects, strict=True):
            wanted = one.kind.value if one.type is None else one.type.label
            assert names[each["category_id"]] == wanted
            assert each["n_chromosomes"] == one.n_chromosomes
            mask = coco.annToMask(each).astype(bool)
            assert np.array_equal(mask, metaphase.labels == each["object_id"])


@pytest.mark.parametrize("name", ["", "coco.json"])
def test_manifests_and_the_harvest_read_the_boxes(
    root: Path, metaphases: list[VirtualMetaphase], name: str
) -> None:
    """Objects with one box are single chromosomes, with several clusters of that count."""
    manifest = read_manifest(root / name if name else root)
    assert not manifest.unreadable
    pictures = [item for item in manifest.items if isinstance(item, AnnotatedPicture)]
    assert len(pictures) == N
    harvest = harvest_metaphases(pictures, image=ImageConfig(), foreground=ForegroundConfig())
    true = [one for each in metaphases for one in each.objects if one.kind is ObjectKind.CHROMOSOMES]
    n_single = sum(one.n_chromosomes == 1 for one in true)
    assert 0.9 * n_single <= len(harvest.singles) <= 1.1 * n_single, "a faint bridge may be cut"


def test_tiff_holds_sixteen_bits_and_our_reader_reads_it(tmp_path: Path) -> None:
    metaphase = drawn(0, bit_depth=16)
    with SyntheticSet(tmp_path / "set", picture_format="tiff") as made:
        made.add(metaphase)
        made.keep({})
    image = read_grey(tmp_path / "set" / "images" / "000000.tif")
    assert image.white == 65535
    assert np.array_equal(image.pixels, metaphase.pixels)
    assert len(read_manifest(tmp_path / "set").items) == 1


def test_set_without_pictures_is_a_set(tmp_path: Path) -> None:
    with SyntheticSet(tmp_path / "set") as made:
        made.keep({})
    assert json.loads((tmp_path / "set" / "coco.json").read_text())["annotations"] == []
    assert rows_of(tmp_path / "set" / "objects.csv") == []


def test_set_that_is_not_kept_leaves_nothing(tmp_path: Path, metaphases: list[VirtualMetaphase]) -> None:
    def stopped_half_way() -> None:
        with SyntheticSet(tmp_path / "set") as made:
            made.add(metaphases[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_half_way()
    assert not [*tmp_path.iterdir()]


def test_nothing_is_overwritten(root: Path) -> None:
    with pytest.raises(SupcamError, match="something there already"):
        SyntheticSet(root)
