from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.core.types import ClusterType
from supcam.data.drawing import DrawnChromosome, Preparation, ink, sketch_chromosome
from supcam.data.joining import Closeness, Laid, added_stains, join, lay, moved, relation_of, stacked_masks

CLOSENESS = Closeness(max_gap_px=1.0, touch_depth=0.15, overlap_depth=0.5)
PREPARATION = Preparation(
    width_px=16.0,
    stain_level=0.65,
    band_contrast=0.6,
    chromatid_split=0.4,
    blur_px=1.1,
    bend_rad=1.3,
    roughness=0.02,
)


def bar(*, height: int, width: int) -> Laid:
    """A rectangular body with a margin of 5 pixels; its width is the shorter side."""
    mask = np.zeros((height + 10, width + 10), np.bool_)
    mask[5:-5, 5:-5] = True
    line = np.array([[5.0, 5.0], [height + 4.0, width + 4.0]])
    stain = mask.astype(np.float32)
    return lay(DrawnChromosome(stain, mask, line, width_px=float(min(height, width)), length_px=40.0))


@pytest.mark.parametrize(
    ("gap_px", "expected"),
    [
        (9, ClusterType.INSTANCE),
        (3, None),
        (1, ClusterType.TOUCHING),
        (0, ClusterType.TOUCHING),
        (-1, ClusterType.TOUCHING),
        (-4, None),
        (-6, ClusterType.OVERLAPPING),
    ],
)
def test_relation_follows_the_gap_between_two_bars(gap_px: int, expected: ClusterType | None) -> None:
    """Bars of 11 x 41 pixels, one above the other: 0.15 widths are 1.65 pixels, half a width is 5.5."""
    upper = bar(height=11, width=41)
    lower = moved(upper, down=11 + gap_px, right=3)
    assert relation_of(upper, lower, closeness=CLOSENESS) is expected
    assert relation_of(lower, upper, closeness=CLOSENESS) is expected


def test_crossing_bars_overlap_and_far_bars_have_no_relation() -> None:
    lying, standing = bar(height=11, width=41), bar(height=41, width=11)
    cross = moved(standing, down=-15, right=15)
    assert relation_of(lying, cross, closeness=CLOSENESS) is ClusterType.OVERLAPPING
    assert relation_of(lying, moved(cross, down=500, right=0), closeness=CLOSENESS) is ClusterType.INSTANCE


def test_two_contacts_of_different_kind_give_both_bits() -> None:
    """A body in the shape of a U: one leg lies across the bar, the other one just reaches it."""
    mask = np.zeros((60, 60), np.bool_)
    mask[5:15, 5:55] = mask[5:50, 5:15] = mask[5:31, 45:55] = True
    shape = lay(DrawnChromosome(mask.astype(np.float32), mask, np.zeros((2, 2)), width_px=10, length_px=90))
    lying = moved(bar(height=11, width=60), down=26, right=-8)
    assert relation_of(lying, shape, closeness=CLOSENESS) is ClusterType.TOUCHING_OVERLAPPING


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([ClusterType.TOUCHING, ClusterType.OVERLAPPING]))
def test_what_is_joined_is_in_that_relation_seen_from_either_side(seed: int, relation: ClusterType) -> None:
    rng = np.random.default_rng(seed)
    first = joined_to(None, relation=relation, rng=rng)
    second = joined_to(first, relation=relation, rng=rng)
    assert relation_of(first, second, closeness=CLOSENESS) is relation
    masks = stacked_masks([first, second])
    shared = masks.all(axis=0).sum()
    if relation is ClusterType.OVERLAPPING:
        assert shared > 20
    else:
        assert shared < 0.25 * masks[0].sum()


def joined_to(first: Laid | None, *, relation: ClusterType, rng: np.random.Generator) -> Laid:
    """A body joined to ``first``, tried until it could be."""
    for _ in range(200):
        sketch = sketch_chromosome(rng, preparation=PREPARATION, length_px=rng.uniform(35, 120))
        if first is None:
            return lay(ink(sketch, rng=rng))
        body = join([first], sketch, relation=relation, closeness=CLOSENESS, rng=rng)
        if body is not None:
            return body
    pytest.fail("no join in 200 tries")


def test_stains_add_by_the_share_that_is_asked_for() -> None:
    lying, standing = bar(height=11, width=41), bar(height=41, width=11)
    laid = [lying, moved(standing, down=-15, right=15)]
    both = stacked_masks(laid).all(axis=0)
    assert both.sum() == 11 * 11
    for share in (0.0, 0.5, 1.0):
        stain = added_stains(laid, share=share)
        assert stain[both] == pytest.approx(1 + share)
        assert stain[stacked_masks(laid).any(axis=0) & ~both] == pytest.approx(1.0)


def test_without_a_relation_some_contact_is_made_and_none_is_doubtful() -> None:
    rng = np.random.default_rng(5)
    laid = [joined_to(None, relation=ClusterType.TOUCHING, rng=rng)]
    while len(laid) < 5:
        sketch = sketch_chromosome(rng, preparation=PREPARATION, length_px=rng.uniform(35, 120))
        body = join(laid, sketch, relation=None, closeness=CLOSENESS, rng=rng)
        if body is None:
            continue
        contacts = [relation_of(one, body, closeness=CLOSENESS) for one in laid]
        assert None not in contacts
        assert set(contacts) != {ClusterType.INSTANCE}
        laid.append(body)
