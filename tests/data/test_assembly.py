from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import bar_piece, drawn_pieces, edge_outside, meetings

from supcam.core.config import CompositionConfig, CropConfig
from supcam.core.foreground import mask_box
from supcam.core.types import ClusterType
from supcam.data.assembly import Assembly, Rules, assemble, draw_index, draw_join, holds
from supcam.data.piece import Piece, Pose, cast
from supcam.data.placement import Placed
from supcam.data.superposition import is_one_piece

SINGLE, TOUCH, OVERLAP, BOTH = ClusterType
SEEDS = st.integers(0, 2**32)


def rules(**settings: object) -> Rules:
    return Rules(
        CompositionConfig.model_validate({"scale_jitter": 0.0, "band_share": 0.0, **settings}), CropConfig()
    )


def assembled(
    pieces: Sequence[Piece], *, relations: Sequence[ClusterType], rules: Rules, rng: np.random.Generator
) -> Assembly | None:
    joins = [draw_join(relation, settings=rules.composition, rng=rng) for relation in relations]
    return assemble(pieces, joins=joins, rules=rules, rng=rng)


def cross() -> list[Placed]:
    """Two bars 60 x 12 across each other, around the origin."""
    bodies = [cast(bar_piece(length=60, width=12), pose=Pose(1.0, angle)) for angle in (0.0, np.pi / 2)]
    return [Placed(one, -(one.core.shape[0] // 2), -(one.core.shape[1] // 2)) for one in bodies]


def test_third_body_may_not_add_another_relation() -> None:
    """A bar that lies across one arm and ends at the other: touching the other one is not what was asked."""
    first, second = cross()
    third = cast(bar_piece(length=34, width=12), pose=Pose(1.0, np.pi / 2))
    limits = rules().limits
    height, width = third.core.shape
    crossing = Placed(third, -(height // 2), 20 - width // 2)
    assert holds([first], crossing, relation=OVERLAP, limits=limits)
    near = Placed(third, -(height // 2), 14 - width // 2)
    assert holds([first], near, relation=OVERLAP, limits=limits)
    assert not holds([first, second], near, relation=OVERLAP, limits=limits), "2 pixels from the upright bar"
    assert not holds([first, second], near, relation=TOUCH, limits=limits)
    far = Placed(third, 200, 200)
    assert not holds([first, second], far, relation=TOUCH, limits=limits), "no contact at all"


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.sampled_from([TOUCH, OVERLAP]), min_size=2, max_size=4))
def test_each_join_makes_its_relation_and_no_other(seed: int, relations: list[ClusterType]) -> None:
    """Body k + 1 has relation k with the ones before it, by plain distances; None is an honest answer."""
    rng = np.random.default_rng(seed)
    pieces = [drawn_pieces()[int(i)] for i in rng.integers(14, size=len(relations) + 1)]
    made = assembled(pieces, relations=relations, rules=rules(), rng=rng)
    if made is None:
        return
    scales = [
        np.sqrt(mask.sum() / (piece.core > 127).sum()) for mask, piece in zip(made.masks, pieces, strict=True)
    ]
    for k, relation in enumerate(relations, 1):
        for earlier in range(k):
            width = min(scales[i] * pieces[i].width_px for i in (earlier, k))
            for meeting in meetings(made.masks[earlier], made.masks[k]):
                share = meeting.depth_px / width
                if meeting.depth_px > -2.8:
                    assert (share >= 0.45) if relation is OVERLAP else (share <= 0.275)
        near = [meetings(made.masks[earlier], made.masks[k]) for earlier in range(k)]
        assert any(near), "joined to something"


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_gaps_keep_to_the_widest_and_come_when_asked_for(seed: int) -> None:
    """With gaps only and a loose threshold the cores stay apart; the picture is one piece all the same."""
    settings_ = rules(gap_share=1.0, segmentation_levels=(0.02, 0.02), touch_shares={"t_junction": 1.0})
    rng = np.random.default_rng(seed)
    made = assembled(drawn_pieces()[2:4], relations=[TOUCH], rules=settings_, rng=rng)
    if made is None:
        return
    one, other = made.masks
    deepest = max(meeting.depth_px for meeting in meetings(one, other, reach_px=8))
    assert -1.05 * (settings_.composition.max_gap_px + 1) <= deepest <= 1.05, "to within a pixel"
    assert is_one_piece(made.stain, threshold=0.02 * made.level)


def test_touching_bodies_without_a_gap_meet_or_reach_in() -> None:
    settings_ = rules(gap_share=0.0)
    depths = []
    for seed in range(30):
        made = assembled(
            drawn_pieces()[2:4], relations=[TOUCH], rules=settings_, rng=np.random.default_rng(seed)
        )
        if made is not None:
            depths.append(max(meeting.depth_px for meeting in meetings(*made.masks)))
    assert len(depths) > 20
    assert min(depths) > -2.6
    assert np.mean(np.array(depths) > 0) > 0.7


def test_stains_add_by_the_configured_share() -> None:
    """Bars of stain 1: where they cross, 1 plus the share."""
    bars = [bar_piece(length=60, width=11, angle_deg=angle) for angle in (0, 80)]
    for share in (0.0, 0.5, 1.0):
        settings_ = rules(added_stain=(share, share), overlap_shares={"crossing": 1.0}, tries=50)
        made = assembled(bars, relations=[OVERLAP], rules=settings_, rng=np.random.default_rng(1))
        assert made is not None
        both = made.masks.all(axis=0)
        assert np.median(made.stain[both]) == pytest.approx(1 + share, abs=0.06)
        only = made.masks.any(axis=0) & ~both
        assert np.median(made.stain[only]) == pytest.approx(1.0, abs=0.03)


def test_heaps_are_denser_than_chains() -> None:
    """With heap_share 1 each body seeks the cluster's middle."""
    areas = {}
    for share in (0.0, 1.0):
        spans = []
        for seed in range(25):
            rng = np.random.default_rng(seed)
            made = assembled(
                drawn_pieces()[:4], relations=[TOUCH] * 3, rules=rules(heap_share=share), rng=rng
            )
            if made is not None:
                rows, columns = np.nonzero(made.masks.any(axis=0))
                spans.append(np.hypot(rows.std(), columns.std()))
        areas[share] = np.mean(spans)
    assert areas[1.0] < 0.93 * areas[0.0]


def test_rotations_are_quarter_turns_or_free_as_configured() -> None:
    bar = bar_piece(length=60, width=12)

    def angles(share: float) -> list[float]:
        found = []
        for seed in range(40):
            made = assembled(
                [bar], relations=[], rules=rules(free_rotation_share=share), rng=np.random.default_rng(seed)
            )
            assert made is not None
            rows, columns = np.nonzero(made.masks[0])
            spread = np.cov(np.stack([columns, rows]).astype(float))
            found.append(0.5 * float(np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])))
        return found

    assert np.abs(np.sin(2 * np.array(angles(0.0)))).max() < 0.02
    assert np.abs(np.sin(2 * np.array(angles(1.0)))).mean() > 0.4


def test_width_varies_by_the_configured_jitter() -> None:
    bar = bar_piece(length=60, width=16)
    for jitter in (0.0, 0.3):
        areas = []
        for seed in range(60):
            settings_ = rules(scale_jitter=jitter)
            made = assembled([bar], relations=[], rules=settings_, rng=np.random.default_rng(seed))
            assert made is not None
            areas.append(np.sqrt(made.masks[0].sum() / (60 * 16)) * 16 / CropConfig().width_px)
        assert min(areas) == pytest.approx(1 - jitter, abs=0.06)
        assert max(areas) == pytest.approx(1 + jitter, abs=0.06)


@settings(deadline=None)
@given(SEEDS, st.lists(st.floats(0.01, 5), min_size=1, max_size=6))
def test_index_is_the_one_that_numpy_draws(seed: int, shares: list[float]) -> None:
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    chances = np.array(shares) / sum(shares)
    for _ in range(5):
        assert draw_index(shares, rng=ours) == theirs.choice(len(shares), p=chances)


def test_index_of_share_zero_is_never_drawn(rng: np.random.Generator) -> None:
    drawn = Counter(draw_index((0, 3, 0, 1, 0), rng=rng) for _ in range(400))
    assert set(drawn) == {1, 3}
    assert drawn[1] == pytest.approx(300, abs=40)


def test_masks_of_an_assembly_lie_on_its_stain() -> None:
    rng = np.random.default_rng(3)
    tries = (
        assembled(drawn_pieces()[:3], relations=[TOUCH, OVERLAP], rules=rules(), rng=rng) for _ in range(20)
    )
    made = next(one for one in tries if one is not None)
    assert made.masks.shape == (3, 128, 128)
    for mask in made.masks:
        border = edge_outside(mask)
        assert made.stain[mask].mean() > 1.5 * made.stain[border[:, 0], border[:, 1]].mean()


@pytest.mark.parametrize("relations", [[], [TOUCH], [OVERLAP, TOUCH]])
def test_square_fit_fills_the_square(relations: list[ClusterType]) -> None:
    fitted = Rules(CompositionConfig(band_share=0.0), CropConfig(scale_rule="square_fit"))
    sides = []
    for seed in range(12):
        pieces = drawn_pieces()[: len(relations) + 1]
        made = assembled(pieces, relations=relations, rules=fitted, rng=np.random.default_rng(seed))
        if made is not None:
            box = mask_box(np.asarray(made.masks.any(axis=0)))
            sides.append(max(box.height, box.width))
    assert len(sides) > 2
    inside = fitted.crop.size_px - 2 * fitted.crop.margin_px
    assert all(side == pytest.approx(inside, abs=5) for side in sides)
