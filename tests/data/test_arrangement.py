from __future__ import annotations

import cv2
import numpy as np
import pytest

from supcam.core.foreground import Levels
from supcam.core.types import ClusterType
from supcam.data.arrangement import (
    Sketcher,
    arrange,
    cores_of,
    is_one_component,
    is_one_object,
    type_of,
)
from supcam.data.drawing import Preparation, Sketch, sketch_chromosome
from supcam.data.joining import Closeness, Laid, added_stains, relation_of

CLOSENESS = Closeness(max_gap_px=1.0, touch_depth=0.15, overlap_depth=0.5)
PREPARATION = Preparation(
    width_px=16.0,
    stain_level=0.65,
    band_contrast=0.6,
    chromatid_split=0.4,
    blur_px=1.1,
    bend_rad=1.0,
    roughness=0.02,
)
TOUCH, OVERLAP = ClusterType.TOUCHING, ClusterType.OVERLAPPING


def of_length(length_px: float) -> Sketcher:
    def sketcher(rng: np.random.Generator) -> Sketch:
        return sketch_chromosome(rng, preparation=PREPARATION, length_px=length_px)

    return sketcher


def arranged(
    relations: list[ClusterType | None], *, seed: int, lengths: tuple[float, ...] = (90, 60, 75, 50, 80, 65)
) -> list[Laid]:
    """As asked for; tried until it worked."""
    rng = np.random.default_rng(seed)
    sketchers = [of_length(length) for length in lengths[: len(relations) + 1]]
    for _ in range(30):
        laid = arrange(rng, sketchers=sketchers, relations=relations, closeness=CLOSENESS)
        if laid is not None:
            return laid
    pytest.fail("no arrangement in 30 tries")


@pytest.mark.parametrize("seed", range(3))
def test_each_body_lies_as_asked_for_and_keeps_its_place_in_the_list(seed: int) -> None:
    first, second, third = arranged([TOUCH, OVERLAP], seed=seed)
    assert [one.drawn.length_px for one in (first, second, third)] == pytest.approx([90, 60, 75], abs=0.5)
    assert relation_of(first, second, closeness=CLOSENESS) is TOUCH
    last = {relation_of(one, third, closeness=CLOSENESS) for one in (first, second)}
    assert last in ({OVERLAP, ClusterType.INSTANCE}, {OVERLAP})
    assert type_of([first, second, third], closeness=CLOSENESS) is ClusterType.TOUCHING_OVERLAPPING


def test_in_any_relation_means_touching_or_overlapping_one_at_least() -> None:
    seen = set()
    for seed in range(6):
        first, second = arranged([None], seed=seed)
        seen.add(relation_of(first, second, closeness=CLOSENESS))
    assert seen <= {TOUCH, OVERLAP, ClusterType.TOUCHING_OVERLAPPING}
    assert len(seen) > 1


def test_heap_hangs_together() -> None:
    laid = arranged([None] * 5, seed=3)
    assert len(laid) == 6
    for k, one in enumerate(laid[1:], 1):
        contacts = [relation_of(before, one, closeness=CLOSENESS) for before in laid[:k]]
        assert any(contact not in (None, ClusterType.INSTANCE) for contact in contacts)


def test_what_cannot_be_laid_is_none(rng: np.random.Generator) -> None:
    """No body is thick enough to be reached into by 40 widths."""
    strict = Closeness(max_gap_px=0, touch_depth=0.0, overlap_depth=40.0)
    sketchers = [of_length(60)] * 2
    assert arrange(rng, sketchers=sketchers, relations=[OVERLAP], closeness=strict) is None


def test_bodies_apart_are_of_no_cluster_and_a_doubtful_contact_has_no_type() -> None:
    (one,) = arranged([], seed=0)
    assert type_of([one], closeness=CLOSENESS) is ClusterType.INSTANCE
    first, second = arranged([OVERLAP], seed=1)
    deeper = Closeness(max_gap_px=1.0, touch_depth=0.01, overlap_depth=30.0)
    assert type_of([first, second], closeness=deeper) is None


@pytest.mark.parametrize("relation", [TOUCH, OVERLAP])
def test_core_masks_show_the_same_type(relation: ClusterType) -> None:
    """By the wider bounds of the method: a touch up to a quarter of a width and with gaps of 4 pixels."""
    on_cores = Closeness(max_gap_px=4.0, touch_depth=0.25, overlap_depth=0.5)
    shown = []
    for seed in range(8):
        laid = arranged([relation], seed=seed)
        cores = cores_of(laid, stain=added_stains(laid, share=0.7))
        for core, one in zip(cores, laid, strict=True):
            shared = (core.drawn.mask & one.drawn.mask).sum()
            assert shared > 0.9 * one.drawn.mask.sum()
            assert core.drawn.mask.sum() < 1.4 * one.drawn.mask.sum()
        shown.append(type_of(cores, closeness=on_cores))
    assert shown.count(relation) >= 7
    assert set(shown) <= {relation, None}


def test_cluster_hangs_together_and_two_apart_do_not() -> None:
    stain = added_stains(arranged([OVERLAP], seed=0), share=0.7)
    assert is_one_component(stain)
    assert is_one_component(stain, reserve=1.5)
    apart = np.concatenate([stain, np.zeros_like(stain), stain])
    assert not is_one_component(apart)


def test_reserve_asks_for_a_stronger_bridge() -> None:
    block = np.full((20, 20), 0.5, np.float32)
    bridge = np.full((20, 6), 0.25 * 0.5, np.float32)
    joined = np.pad(np.concatenate([block, bridge, block], axis=1), 4)
    assert is_one_component(joined)
    assert not is_one_component(joined, reserve=1.5)


def two_bodies(*, bridge: float) -> np.ndarray:
    """Two blurred bodies of stain 0.5 and 40 x 16 pixels, end to end with a narrow bridge between them."""
    body = np.full((16, 40), 0.5, np.float32)
    between = np.zeros((16, 10), np.float32)
    between[4:12] = bridge
    return cv2.GaussianBlur(np.pad(np.concatenate([body, between, body], axis=1), 6), (0, 0), 1.3)


@pytest.mark.parametrize(("bridge", "is_one"), [(0.3, True), (0.15, False), (0.05, False)])
def test_object_needs_a_bridge_at_the_contact_level(bridge: float, is_one: bool) -> None:
    """0.19 is the contact level, 0.11 the segmentation level: between the two, whole pictures cut."""
    levels = Levels(typical_stain=0.5, width_px=16.0)
    assert is_one_object(two_bodies(bridge=bridge), levels=levels) is is_one


def test_darker_neighbours_ask_for_a_stronger_bridge() -> None:
    stain = two_bodies(bridge=0.3)
    assert is_one_object(stain, levels=Levels(typical_stain=0.7, width_px=16.0))
    assert not is_one_object(stain, levels=Levels(typical_stain=0.9, width_px=16.0))


def test_cluster_that_looks_like_a_nucleus_is_no_object_of_chromosomes() -> None:
    round_body = np.zeros((120, 120), np.float32)
    cv2.circle(round_body, (60, 60), 50, 0.5, -1)
    blurred = cv2.GaussianBlur(round_body, (0, 0), 1.3)
    assert not is_one_object(blurred, levels=Levels(typical_stain=0.5, width_px=16.0))
