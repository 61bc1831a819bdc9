from __future__ import annotations

from collections import Counter
from itertools import combinations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from supcam.core.config import ForegroundConfig
from supcam.core.foreground import find_foreground
from supcam.core.image import grey_from_array, to_stain
from supcam.core.polarity import find_polarity
from supcam.core.types import ClusterType, CompositionError, Polarity
from supcam.data.karyotype import parse_karyotype
from supcam.data.laboratory import virtual_laboratory
from supcam.data.recovery import Found
from supcam.data.slide import DrawnObject, ObjectKind
from supcam.data.virtual_metaphase import MetaphasePlan, VirtualMetaphase, draw_virtual_metaphase

LABORATORIES = (1, 6, 11, 19)
"""Bright field on grey, uneven ground, strong sharpening, fluorescence."""


def drawn(seed: int, *, laboratory: int = 1, **asked: object) -> VirtualMetaphase:
    """Half as many chromosomes as a cell has, where it makes no difference: it is quicker."""
    plan = MetaphasePlan.model_validate(
        {"karyotype": "23,X", "n_nuclei": (1, 1), "n_debris": (3, 3), **asked}
    )
    rng = np.random.default_rng([seed, laboratory])
    return draw_virtual_metaphase(rng, laboratory=virtual_laboratory(laboratory), plan=plan)


@pytest.fixture(scope="module", params=LABORATORIES)
def metaphase(request: pytest.FixtureRequest) -> VirtualMetaphase:
    return drawn(11, laboratory=request.param, karyotype="47,XY,+21")


def chromosomes_of(one: DrawnObject) -> int:
    return len(one.masks) if one.kind is ObjectKind.CHROMOSOMES else 0


def test_all_chromosomes_of_the_karyotype_are_there_once(metaphase: VirtualMetaphase) -> None:
    names = Counter(name for one in metaphase.objects for name in one.chromosomes)
    assert names == Counter(parse_karyotype("47,XY,+21").chromosomes)
    assert names["21"] == 3
    assert metaphase.n_chromosomes == 47
    assert metaphase.karyotype == "47,XY,+21"


def test_objects_are_what_their_masks_say(metaphase: VirtualMetaphase) -> None:
    kinds = Counter(one.kind for one in metaphase.objects)
    assert (kinds[ObjectKind.NUCLEUS], kinds[ObjectKind.DEBRIS]) == (1, 3)
    for one in metaphase.objects:
        assert one.n_chromosomes == len(one.chromosomes) == chromosomes_of(one)
        assert (one.type is None) == (one.n_chromosomes == 0)
        assert (one.type is ClusterType.INSTANCE) == (one.n_chromosomes == 1)
        overlap = any((a & b).sum() > 30 for a, b in combinations(one.masks, 2))
        if one.type in (ClusterType.INSTANCE, None):
            assert not overlap
        elif one.type is not ClusterType.TOUCHING:
            assert overlap


def test_labels_are_the_union_of_the_masks_in_their_boxes(metaphase: VirtualMetaphase) -> None:
    assert metaphase.labels.shape == metaphase.pixels.shape
    assert set(np.unique(metaphase.labels)) == set(range(len(metaphase.objects) + 1))
    for number, one in enumerate(metaphase.objects, 1):
        assert np.array_equal(metaphase.labels[one.box.slices] == number, one.masks.any(axis=0))
        assert (metaphase.labels == number).sum() == one.masks.any(axis=0).sum()


def test_picture_is_read_with_the_polarity_of_the_laboratory(metaphase: VirtualMetaphase) -> None:
    image = grey_from_array(metaphase.pixels)
    camera = virtual_laboratory(int(metaphase.laboratory)).camera
    assert find_polarity(image.pixels, white=image.white) is camera.polarity


def test_foreground_finds_the_objects_that_are_called_whole(metaphase: VirtualMetaphase) -> None:
    """Counted again from the picture, in another way. Of the objects of a picture two may be split."""
    stain = to_stain(grey_from_array(metaphase.pixels))
    labels = find_foreground(stain, config=ForegroundConfig()).labels
    whole = 0
    for number, (one, found) in enumerate(zip(metaphase.objects, metaphase.found, strict=True), 1):
        body = labels[metaphase.labels == number]
        shown = body[body > 0]
        if one.kind is ObjectKind.CHROMOSOMES:
            whole += found is Found.WHOLE
            assert found in (Found.WHOLE, Found.SPLIT)
        if found is Found.WHOLE:
            (main, n_main), *_ = Counter(shown.tolist()).most_common(1)
            assert n_main >= 0.95 * shown.size >= 0.45 * body.size
            others = metaphase.labels[labels == main]
            assert not set(others.tolist()) - {0, number}
    assert whole >= sum(one.kind is ObjectKind.CHROMOSOMES for one in metaphase.objects) - 2


def test_chromosomes_are_as_wide_as_the_slide_says(metaphase: VirtualMetaphase) -> None:
    stain = to_stain(grey_from_array(metaphase.pixels))
    width = find_foreground(stain, config=ForegroundConfig()).width_px
    assert width == pytest.approx(metaphase.width_px, rel=0.2)


def test_same_seed_is_the_same_picture_whatever_the_number_of_threads() -> None:
    threads = cv2.getNumThreads()
    once = drawn(5, laboratory=8)
    try:
        cv2.setNumThreads(1 if threads > 1 else 3)
        again = drawn(5, laboratory=8)
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(once.pixels, again.pixels)
    assert np.array_equal(once.labels, again.labels)
    assert [one.chromosomes for one in once.objects] == [one.chromosomes for one in again.objects]
    assert not np.array_equal(once.labels, drawn(6, laboratory=8).labels)


def test_without_a_karyotype_both_sexes_are_drawn() -> None:
    alone = {"instance": 1}
    assert {drawn(seed, laboratory=8, karyotype="", contact_shares=alone).karyotype for seed in (0, 2)} == {
        "46,XX",
        "46,XY",
    }


def test_sixteen_bits_hold_the_same_picture_in_finer_steps() -> None:
    deep, plain = drawn(3, laboratory=8, bit_depth=16), drawn(3, laboratory=8)
    assert deep.pixels.dtype == np.uint16
    assert np.array_equal(deep.labels, plain.labels)
    assert len(np.unique(deep.pixels)) > 5 * len(np.unique(plain.pixels))
    assert np.abs(deep.pixels / 257 - plain.pixels).max() < 1


@pytest.mark.parametrize("kind", ["touching", "overlapping", "touching_overlapping"])
def test_mix_can_be_one_kind_alone(kind: str) -> None:
    """But for what is left over when the last cluster has too few chromosomes to draw on."""
    objects = drawn(2, laboratory=8, contact_shares={kind: 1.0}).objects
    types = Counter(one.type for one in objects if one.type is not None)
    assert types[ClusterType.from_label(kind)] >= 5
    assert types[ClusterType.INSTANCE] <= 4
    assert set(types) <= {ClusterType.from_label(kind), ClusterType.INSTANCE}


def test_shares_are_those_of_the_chromosomes() -> None:
    counts: Counter[ClusterType] = Counter()
    shares = {"instance": 0.5, "touching": 0.25, "overlapping": 0.25}
    for seed in range(8):
        for one in drawn(seed, laboratory=8, contact_shares=shares).objects:
            if one.type is not None:
                counts[one.type] += one.n_chromosomes
    assert counts.total() == 8 * 23
    assert counts[ClusterType.INSTANCE] / counts.total() == pytest.approx(0.5, abs=0.1)
    assert counts[ClusterType.TOUCHING] / counts.total() == pytest.approx(0.25, abs=0.1)


def test_heaps_are_large_touching_overlapping_clusters() -> None:
    objects = drawn(1, laboratory=8, contact_shares={"instance": 1, "heap": 1}, heap_size=(6, 7)).objects
    heaps = [one for one in objects if one.n_chromosomes > 1]
    assert heaps
    assert {one.n_chromosomes for one in heaps} <= {6, 7}
    assert {one.type for one in heaps} == {ClusterType.TOUCHING_OVERLAPPING}


def test_picture_has_the_size_that_is_asked_for_or_is_reported() -> None:
    assert drawn(4, laboratory=8, picture_px=(640, 900)).pixels.shape == (640, 900)
    with pytest.raises(CompositionError, match="larger picture"):
        drawn(4, laboratory=8, picture_px=(120, 150))


def test_picture_that_cannot_be_read_says_so_of_every_object(monkeypatch: pytest.MonkeyPatch) -> None:
    laboratory = virtual_laboratory(8)
    dark = laboratory.camera.model_copy(update={"background": 0.005, "polarity": Polarity.BRIGHT_FIELD})
    blind = laboratory.model_copy(update={"camera": dark})
    plan = MetaphasePlan(n_nuclei=(0, 0), n_debris=(0, 0))
    metaphase = draw_virtual_metaphase(np.random.default_rng(0), laboratory=blind, plan=plan)
    assert set(metaphase.found) == {Found.UNREAD}


@pytest.mark.parametrize(
    "wrong",
    [
        {"karyotype": "46,XX,del(5)"},
        {"contact_shares": {}},
        {"contact_shares": {"touching": -1}},
        {"contact_shares": {"crossing": 1}},
        {"group_shares": ()},
        {"heap_size": (9, 4)},
        {"heap_size": (2, 4)},
        {"bit_depth": 12},
        {"picture_px": (10, 10)},
        {"colour": "red"},
    ],
)
def test_plans_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MetaphasePlan.model_validate(wrong)
