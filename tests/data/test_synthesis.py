from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from supcam.core.config import ForegroundConfig
from supcam.core.foreground import find_foreground
from supcam.core.types import ClusterType, CompositionError, Polarity
from supcam.data import arrangement
from supcam.data.slide import ObjectKind
from supcam.data.synthesis import (
    DrawnCluster,
    DrawnMetaphase,
    SynthesisConfig,
    draw_chromosome,
    draw_cluster,
    draw_metaphase,
    to_grey,
)

POSSIBLE = [
    (ClusterType.INSTANCE, 1),
    (ClusterType.TOUCHING, 2),
    (ClusterType.TOUCHING, 4),
    (ClusterType.OVERLAPPING, 2),
    (ClusterType.OVERLAPPING, 3),
    (ClusterType.TOUCHING_OVERLAPPING, 3),
    (ClusterType.TOUCHING_OVERLAPPING, 4),
]
IMPOSSIBLE = [
    (ClusterType.INSTANCE, 2),
    (ClusterType.INSTANCE, 0),
    (ClusterType.TOUCHING, 1),
    (ClusterType.OVERLAPPING, 1),
    (ClusterType.OVERLAPPING, -3),
    (ClusterType.TOUCHING_OVERLAPPING, 2),
]


def components(mask: np.ndarray) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def depth(one: np.ndarray, other: np.ndarray) -> float:
    """How far ``other`` reaches into ``one``, in pixels; by plain distances, below 0 for a gap."""
    shared = one & other
    if shared.any():
        return float(nearest(np.argwhere(shared), np.argwhere(ring(one))).max())
    return -float(nearest(np.argwhere(other), np.argwhere(ring(~one))).min())


def ring(mask: np.ndarray) -> np.ndarray:
    """The pixels just outside ``mask``."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~mask)


def nearest(pixels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From each of ``pixels`` the distance to the nearest of ``others``."""
    return np.asarray(np.array([np.hypot(*(others - pixel).T).min() for pixel in pixels]))


def relations_in(cluster: DrawnCluster) -> set[ClusterType]:
    """The bits that the masks show, pair by pair; nothing may lie between touching and overlapping."""
    found = set()
    for one, other in combinations(cluster.masks, 2):
        reach = depth(one, other)
        if reach < -5.5:
            continue
        share = reach / (2 * min(depth(one, one), depth(other, other)))
        assert share <= 0.25 or share >= 0.4, "neither a touch nor an overlap"
        found.add(ClusterType.OVERLAPPING if share >= 0.4 else ClusterType.TOUCHING)
    return found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(POSSIBLE))
def test_masks_show_the_claimed_relation_and_no_other(seed: int, wanted: tuple[ClusterType, int]) -> None:
    kind, n = wanted
    cluster = draw_cluster(np.random.default_rng(seed), type=kind, n_chromosomes=n)
    assert (cluster.type, cluster.n_chromosomes, len(cluster.masks)) == (kind, n, n)
    assert all(components(mask) == 1 for mask in cluster.masks)
    shown = ClusterType.INSTANCE
    for bit in relations_in(cluster):
        shown = shown | bit
    assert shown is kind


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(POSSIBLE))
def test_stained_picture_of_a_cluster_is_one_object(seed: int, wanted: tuple[ClusterType, int]) -> None:
    cluster = draw_cluster(np.random.default_rng(seed), type=wanted[0], n_chromosomes=wanted[1])
    closed = cv2.morphologyEx(cluster.mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    assert components(closed) == 1
    assert cluster.stain[cluster.mask].mean() > 5 * cluster.stain[~closed.astype(bool)].mean()
    assert cluster.stain.shape == cluster.masks.shape[1:]


@pytest.mark.parametrize(("kind", "n"), IMPOSSIBLE)
def test_contradiction_of_type_and_count_is_refused(
    kind: ClusterType, n: int, rng: np.random.Generator
) -> None:
    with pytest.raises(CompositionError, match=f"{n} chromosomes for type {kind.label}"):
        draw_cluster(rng, type=kind, n_chromosomes=n)


def test_arrangement_that_is_not_found_is_reported(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrangement, "_JOIN_TRIES", 0)
    with pytest.raises(CompositionError, match="no overlapping cluster of 3"):
        draw_cluster(rng, type=ClusterType.OVERLAPPING, n_chromosomes=3)


def test_chromosomes_keep_to_the_configured_sizes(rng: np.random.Generator) -> None:
    config = SynthesisConfig(width_px=(10, 12), length_px=(40, 60))
    for _ in range(20):
        chromosome = draw_chromosome(rng, config=config)
        assert 8.5 <= chromosome.width_px <= 12.5
        assert 39.5 <= chromosome.length_px <= 60.5


@pytest.fixture(scope="module")
def metaphase() -> DrawnMetaphase:
    return draw_metaphase(np.random.default_rng(11), config=SynthesisConfig(n_nuclei=(1, 1)))


def test_metaphase_holds_all_chromosomes_once(metaphase: DrawnMetaphase) -> None:
    assert metaphase.grey.shape == metaphase.labels.shape == (700, 700)
    assert metaphase.n_chromosomes == 46
    for one in metaphase.objects:
        assert (one.kind is ObjectKind.CHROMOSOMES) == (one.type is not None) == (one.n_chromosomes > 0)
        assert len(one.masks) == max(1, one.n_chromosomes)
        assert (one.type is ClusterType.INSTANCE) == (one.n_chromosomes == 1)
    assert {one.type for one in metaphase.objects} >= {None, ClusterType.INSTANCE, ClusterType.TOUCHING}


def test_labels_are_the_union_of_the_masks_in_their_boxes(metaphase: DrawnMetaphase) -> None:
    assert set(np.unique(metaphase.labels)) == set(range(len(metaphase.objects) + 1))
    for number, one in enumerate(metaphase.objects, 1):
        rows, columns = np.nonzero(metaphase.labels == number)
        assert (rows.min(), columns.min()) == (one.box.top, one.box.left)
        assert (rows.max() + 1, columns.max() + 1) == (one.box.bottom, one.box.right)
        assert np.array_equal(metaphase.labels[one.box.slices] == number, one.masks.any(axis=0))


def test_foreground_finds_each_object_of_a_metaphase_as_one_component(metaphase: DrawnMetaphase) -> None:
    """From the grey picture alone, by the one place that defines contact."""
    ground = np.bincount(metaphase.grey.ravel()).argmax()
    stain = -np.log10(np.maximum(metaphase.grey, 1) / np.float32(ground))
    found = find_foreground(np.maximum(stain, 0).astype(np.float32), config=ForegroundConfig())
    for number, one in enumerate(metaphase.objects, 1):
        if one.kind is ObjectKind.DEBRIS:
            continue
        (label,) = set(found.labels[metaphase.labels == number]) - {0}
        assert set(metaphase.labels[found.labels == label]) <= {0, number}
        assert (found.labels[metaphase.labels == number] == label).mean() > 0.9


def test_metaphase_can_be_asked_for_single_chromosomes_alone(rng: np.random.Generator) -> None:
    config = SynthesisConfig(
        picture_px=(300, 420), n_chromosomes=9, type_shares=(1, 0, 0, 0), n_nuclei=(0, 0), n_debris=(0, 0)
    )
    metaphase = draw_metaphase(rng, config=config)
    assert [one.type for one in metaphase.objects] == [ClusterType.INSTANCE] * 9
    assert metaphase.grey.shape == (300, 420)


def test_metaphase_that_does_not_fit_is_reported(rng: np.random.Generator) -> None:
    with pytest.raises(CompositionError, match="larger picture"):
        draw_metaphase(rng, config=SynthesisConfig(picture_px=(90, 90)))


def test_bright_field_is_dark_on_bright_and_fluorescence_bright_on_dark(rng: np.random.Generator) -> None:
    chromosome = draw_chromosome(rng)
    stained = chromosome.mask & (chromosome.stain > 0.3)
    bare = chromosome.stain < 0.005
    bright = to_grey(chromosome.stain, rng=rng)
    assert np.median(bright[bare]) > 200
    assert np.median(bright[stained]) < 140
    dark = to_grey(chromosome.stain, rng=rng, config=SynthesisConfig(polarity=Polarity.FLUORESCENCE))
    assert np.median(dark[bare]) < 30
    assert np.median(dark[stained]) > 60


def test_grey_values_follow_the_law_of_absorption(rng: np.random.Generator) -> None:
    still = SynthesisConfig(unevenness=0, noise_grey=(0, 0))
    stain = np.tile(np.linspace(0, 2, 81, dtype=np.float32), (8, 1))
    grey = to_grey(stain, rng=rng, config=still).astype(float)
    assert np.abs(grey - grey[0, 0] * 10 ** -stain.astype(float)).max() <= 1.0


def test_noise_has_the_configured_strength(rng: np.random.Generator) -> None:
    config = SynthesisConfig(unevenness=0, noise_grey=(2, 2), polarity=Polarity.FLUORESCENCE)
    flat = to_grey(np.full((200, 200), 0.4, np.float32), rng=rng, config=config)
    assert flat.std() == pytest.approx(2.0, rel=0.1)


def test_same_seed_is_the_same_picture_whatever_the_number_of_threads(metaphase: DrawnMetaphase) -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if threads > 1 else 3)
        again = draw_metaphase(np.random.default_rng(11), config=SynthesisConfig(n_nuclei=(1, 1)))
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(again.grey, metaphase.grey)
    assert np.array_equal(again.labels, metaphase.labels)
    assert [one.box for one in again.objects] == [one.box for one in metaphase.objects]


@pytest.mark.parametrize(
    "wrong",
    [
        {"width_px": (18.0, 14.0)},
        {"width_px": (2.0, 3.0)},
        {"length_px": (10.0, 50.0)},
        {"added_stain": (0.5, 1.5)},
        {"type_shares": (0.0, 0.0, 0.0, 0.0)},
        {"group_shares": ()},
        {"n_debris": (5, 2)},
        {"overlap_depth": 0.8},
        {"picture_px": (10, 700)},
        {"colour": "red"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SynthesisConfig.model_validate(wrong)
