from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.drawn_crops import draw_crop, write_crop

from supcam.core.config import ForegroundConfig, ImageConfig
from supcam.core.foreground import find_foreground, mask_box
from supcam.core.types import Box, ClusterType, Polarity, Region, Sample
from supcam.data.harvest import (
    EMPTY,
    Harvest,
    box_owners,
    harvest_crops,
    harvest_metaphases,
    is_pasted,
)
from supcam.data.manifest import AnnotatedPicture
from supcam.data.slide import DrawnObject, ObjectKind
from supcam.data.sources import read_tseng_crops, read_tseng_metaphases
from supcam.data.split import read_roles
from supcam.data.synthesis import DrawnMetaphase, SynthesisConfig, draw_metaphase

IMAGE, LEVELS = ImageConfig(), ForegroundConfig()
ROLES = Path(__file__).resolve().parents[2] / "experiments" / "roles.csv"


def write_png(path: Path, grey: np.ndarray) -> Path:
    done, content = cv2.imencode(".png", grey)
    assert done
    path.write_bytes(content.tobytes())
    return path


def boxes_of(one: DrawnObject, *, margin: int = 2) -> list[Box]:
    """One box a chromosome, with some pixels of margin, as annotators draw them."""
    boxes = []
    for mask in one.masks:
        box = mask_box(mask)
        top, left = box.top + one.box.top - margin, box.left + one.box.left - margin
        boxes.append(
            Box(max(0, top), max(0, left), top + box.height + 2 * margin, left + box.width + 2 * margin)
        )
    return boxes


@dataclass(frozen=True)
class Annotated:
    drawn: DrawnMetaphase
    picture: AnnotatedPicture
    harvest: Harvest

    def objects(self, kind: ObjectKind) -> list[DrawnObject]:
        return [one for one in self.drawn.objects if one.kind is kind]

    def behind(self, region: Region) -> DrawnObject:
        """The drawn object that a harvested region shows most of."""
        labels = self.drawn.labels[region.box.slices][region.mask]
        return self.drawn.objects[int(np.bincount(labels[labels > 0]).argmax()) - 1]


def annotate(folder: Path, *, seed: int, **settings: object) -> Annotated:
    config = SynthesisConfig.model_validate({"n_chromosomes": 40, "n_nuclei": (2, 2), **settings})
    drawn = draw_metaphase(np.random.default_rng(seed), config=config)
    path = write_png(folder / f"cell{seed}.png", drawn.grey)
    boxes = [box for one in drawn.objects if one.kind is ObjectKind.CHROMOSOMES for box in boxes_of(one)]
    picture = AnnotatedPicture(path=path, case="c1", source="drawn", boxes=tuple(boxes))
    return Annotated(drawn, picture, harvest_metaphases([picture], image=IMAGE, foreground=LEVELS))


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> list[Annotated]:
    folder = tmp_path_factory.mktemp("metaphases")
    return [annotate(folder, seed=seed) for seed in range(3)]


# Drawn metaphases -----------------------------------------------------------------------------------------


def test_counts_are_those_that_were_drawn(annotated: list[Annotated]) -> None:
    for one in annotated:
        for region in (*one.harvest.singles, *one.harvest.clusters):
            assert one.behind(region).n_chromosomes == region.n_chromosomes


def test_nearly_all_objects_are_harvested_once(annotated: list[Annotated]) -> None:
    for one in annotated:
        drawn = one.objects(ObjectKind.CHROMOSOMES)
        found = [id(one.behind(region)) for region in (*one.harvest.singles, *one.harvest.clusters)]
        assert len(found) == len(set(found))
        assert len(found) >= 0.85 * len(drawn)


def test_harvested_regions_say_what_they_are(annotated: list[Annotated]) -> None:
    for one in annotated:
        for region in one.harvest.singles:
            assert (region.type, region.n_chromosomes) == (ClusterType.INSTANCE, 1)
        for region in one.harvest.clusters:
            assert region.type is None
            assert (region.n_chromosomes or 0) >= 2
        for region in one.harvest.debris:
            assert (region.type, region.n_chromosomes, region.is_chromosome) == (None, None, False)
        for region in (*one.harvest.singles, *one.harvest.clusters, *one.harvest.debris):
            assert (region.case, region.source) == ("c1", "drawn")
            assert region.picture == one.picture.path.stem
        assert all(region.is_chromosome for region in (*one.harvest.singles, *one.harvest.clusters))


def test_debris_has_no_box(annotated: list[Annotated]) -> None:
    """Nor does it show a part of a chromosome."""
    n_debris = 0
    for one in annotated:
        chromosomes = {id(drawn) for drawn in one.objects(ObjectKind.CHROMOSOMES)}
        for region in one.harvest.debris:
            assert id(one.behind(region)) not in chromosomes
            n_debris += 1
            for box in one.picture.boxes:
                rows = min(box.bottom, region.box.bottom) - max(box.top, region.box.top)
                columns = min(box.right, region.box.right) - max(box.left, region.box.left)
                shared = max(0, rows) * max(0, columns)
                assert shared <= 0.25 * region.mask.size, "the region has a rim, its object meets no box"
    assert n_debris >= 6


def test_box_owner_is_the_object_that_fills_it(annotated: list[Annotated]) -> None:
    one = annotated[0]
    found = find_foreground(one.drawn.stain, config=LEVELS)
    owners = box_owners(found.labels, one.picture.boxes)
    assert len(owners) == len(one.picture.boxes)
    for box, owner in zip(one.picture.boxes, owners, strict=True):
        inside = Counter(found.labels[box.slices].ravel().tolist())
        del inside[0]
        if inside:
            assert owner in {label for label, count in inside.items() if count >= 0.5 * max(inside.values())}
    empty = np.argwhere(one.drawn.stain < 0.001)[0]
    corner = Box(int(empty[0]), int(empty[1]), int(empty[0]) + 2, int(empty[1]) + 2)
    assert box_owners(found.labels, [corner]) == (0,)


def test_object_that_fits_its_box_badly_is_left_out_and_counted(annotated: list[Annotated]) -> None:
    """A box that holds a third of a chromosome says nothing of the rest."""
    one = annotated[0]
    region = one.harvest.singles[0]
    own = one.behind(region).box
    third = Box(own.top, own.left, own.top + max(4, own.height // 2), own.left + max(4, own.width // 2))
    others = [
        box
        for each in one.objects(ObjectKind.CHROMOSOMES)
        if each is not one.behind(region)
        for box in boxes_of(each)
    ]
    changed = replace(one.picture, boxes=(*others, third))
    again = harvest_metaphases([changed], image=IMAGE, foreground=LEVELS)
    assert not any(one.behind(each) is one.behind(region) for each in (*again.singles, *again.debris))
    assert "fit neither a box nor the background" in again.left_out[-1].reason


def test_progress_is_told_once_a_picture(annotated: list[Annotated]) -> None:
    ticks = []
    harvest_metaphases(
        [one.picture for one in annotated[:2]],
        image=IMAGE,
        foreground=LEVELS,
        tick=lambda: ticks.append(1),
    )
    assert len(ticks) == 2


# Pictures that are left out -------------------------------------------------------------------------------


def pasted_picture(*, ground: int = 205, white: int = 255) -> np.ndarray:
    """Chromosomes cut out with white around them and laid on a grey ground, as some files show them."""
    rng = np.random.default_rng(0)
    grey = np.clip(rng.normal(ground, 3, (300, 320)), 0, 254).astype(np.uint8)
    for top, left in ((30, 40), (150, 60), (90, 200)):
        grey[top : top + 40, left : left + 60] = white
        grey[top + 12 : top + 28, left + 8 : left + 52] = 90
    return grey


def test_pasted_picture_is_left_out_with_the_reason(tmp_path: Path) -> None:
    path = write_png(tmp_path / "pasted.png", pasted_picture())
    picture = AnnotatedPicture(path=path, case="c", source="s", boxes=(Box(42, 48, 58, 92),))
    harvest = harvest_metaphases([picture], image=IMAGE, foreground=LEVELS)
    assert not harvest.singles + harvest.clusters + harvest.debris
    assert [(one.path, one.reason) for one in harvest.left_out] == [
        (path, "chromosomes were cut out and pasted back")
    ]


def test_ordinary_pictures_are_not_taken_for_pasted(annotated: list[Annotated]) -> None:
    for one in annotated:
        assert not is_pasted(one.drawn.grey.astype(np.float32), white=255.0)
    plain = pasted_picture(white=254).astype(np.float32)
    assert not is_pasted(plain, white=255.0), "bright, but not exact white"
    saturated = np.where(pasted_picture(ground=250) > 200, 255, 90).astype(np.float32)
    saturated[:150] = 253
    assert not is_pasted(saturated, white=255.0), "a saturated background is an ordinary scan"
    assert not is_pasted(np.full((50, 50), 255.0, np.float32), white=255.0)


def test_scan_whose_ground_is_saturated_throughout_is_nothing_pasted() -> None:
    """All grey there is belongs to chromosomes: the mode of what is below white is no background."""
    drawn = draw_metaphase(np.random.default_rng(2), config=SynthesisConfig(n_chromosomes=12)).stain
    scan = np.clip(np.rint(275 * 10.0**-drawn), 0, 255).astype(np.float32)
    assert (scan == 255).mean() > 0.8
    assert not is_pasted(scan, white=255.0)


def test_glaring_nucleus_in_fluorescence_is_nothing_pasted() -> None:
    """On a dark background, exact white is a bright object."""
    config = SynthesisConfig(polarity=Polarity.FLUORESCENCE, n_chromosomes=12, n_nuclei=(0, 0))
    grey = draw_metaphase(np.random.default_rng(2), config=config).grey.copy()
    cv2.circle(grey, (600, 600), 40, 255, -1)
    assert not is_pasted(grey.astype(np.float32), white=255.0)
    deep = np.where(grey == 255, 65535, grey.astype(np.int32) * 200).astype(np.float32)
    assert not is_pasted(deep, white=65535.0)


def test_sixteen_bit_pictures_are_judged_on_their_own_scale() -> None:
    deep = pasted_picture().astype(np.float32) * 257
    assert is_pasted(deep, white=65535.0)


def test_file_that_cannot_be_read_is_left_out_and_the_rest_goes_on(
    annotated: list[Annotated], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    pictures = [replace(annotated[0].picture, path=broken), annotated[0].picture]
    harvest = harvest_metaphases(pictures, image=IMAGE, foreground=LEVELS)
    assert len(harvest.singles) == len(annotated[0].harvest.singles)
    assert harvest.left_out[0].path == broken
    assert "broken.png" in harvest.left_out[0].reason


# Typed crops ----------------------------------------------------------------------------------------------


def sample(path: Path, *, kind: ClusterType | None, n: int | None) -> Sample:
    return Sample(path=path, case="k", source="lab", type=kind, n_chromosomes=n)


def test_typed_crops_are_singles_and_clusters_and_unsure_ones_are_left_out(tmp_path: Path) -> None:
    paths = [write_crop(tmp_path / f"{i}.png", seed=i) for i in range(4)]
    (tmp_path / "4.png").write_bytes(b"")
    samples = [
        sample(paths[0], kind=ClusterType.INSTANCE, n=1),
        sample(paths[1], kind=ClusterType.TOUCHING, n=2),
        sample(paths[2], kind=ClusterType.OVERLAPPING, n=None),
        sample(paths[3], kind=None, n=None),
        sample(tmp_path / "4.png", kind=ClusterType.INSTANCE, n=1),
    ]
    ticks: list[int] = []
    harvest = harvest_crops(samples, image=IMAGE, foreground=LEVELS, tick=lambda: ticks.append(1))
    assert len(ticks) == 5
    assert [region.type for region in harvest.singles] == [ClusterType.INSTANCE]
    assert [(region.type, region.n_chromosomes) for region in harvest.clusters] == [
        (ClusterType.TOUCHING, 2),
        (ClusterType.OVERLAPPING, None),
    ]
    assert [one.path.name for one in harvest.left_out] == ["3.png", "4.png"]
    assert harvest.left_out[0].reason == "its type is unsure"
    assert {(region.case, region.source) for region in (*harvest.singles, *harvest.clusters)} == {
        ("k", "lab")
    }


def test_whitened_crop_keeps_all_of_its_object(tmp_path: Path) -> None:
    """White around it, no rim: everything that is left is the object, in however many pieces."""
    grey = np.full((80, 100), 255, np.uint8)
    grey[20:60, 15:85] = 228
    grey[26:36, 20:80] = 90
    grey[44:54, 20:80] = 90
    path = write_png(tmp_path / "white.png", grey)
    harvest = harvest_crops([sample(path, kind=ClusterType.TOUCHING, n=2)], image=IMAGE, foreground=LEVELS)
    (region,) = harvest.clusters
    assert region.mask[30, 50]
    assert region.mask[49, 50]
    assert not region.mask[:18].any()


def test_harvests_add_up(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", draw_crop(seed=1))
    one = harvest_crops([sample(path, kind=ClusterType.INSTANCE, n=1)], image=IMAGE, foreground=LEVELS)
    both = one + one + EMPTY
    assert (len(both.singles), len(both.clusters), len(both.debris), len(both.left_out)) == (2, 0, 0, 0)


# Real pictures --------------------------------------------------------------------------------------------


def test_real_metaphases_yield_single_chromosomes(real_data: Path) -> None:
    manifest, roles = read_tseng_metaphases(real_data), read_roles(ROLES)
    chosen = roles.pick(manifest.pictures, roles=["train"])[::40]
    harvest = harvest_metaphases(chosen, image=IMAGE, foreground=LEVELS)
    read = len(chosen) - sum("pasted" in one.reason for one in harvest.left_out)
    assert read >= 3
    assert len(harvest.singles) > 10 * read
    assert harvest.clusters
    for region in harvest.singles:
        assert region.mask.any()
        assert 5 < region.width_px < 40


def test_no_case_of_the_typed_crops_is_harvested_for_training(real_data: Path) -> None:
    """The typed crops watch over the choice of everything: no metaphase of their cases may be learnt from."""
    roles = read_roles(ROLES)
    typed = {one.case for one in read_tseng_crops(real_data).samples}
    manifest = read_tseng_metaphases(real_data)
    chosen = roles.pick(manifest.pictures, roles=["train"])
    assert len(typed) == 59
    assert len(chosen) > 200
    assert not typed & {picture.case for picture in chosen}
    few = [*chosen[:2], *chosen[-1:]]
    harvest = harvest_metaphases(few, image=IMAGE, foreground=LEVELS)
    everything = (*harvest.singles, *harvest.clusters, *harvest.debris)
    assert {region.case for region in everything} <= {picture.case for picture in few}
    assert not typed & {region.case for region in everything}
