from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import bar_piece, drawn_pieces, meetings

from supcam.core.types import ClusterType, Mask
from supcam.data.piece import Cast, Pose, cast
from supcam.data.placement import (
    Contact,
    Limits,
    Placed,
    Scene,
    Wish,
    admissible,
    relation_at,
    room_to_cross,
    scene_of,
)

SINGLE, TOUCH, OVERLAP, BOTH = ClusterType
LIMITS = Limits(touch_depth=0.25, overlap_depth=0.5, reach_px=3.0)
SEEDS = st.integers(0, 2**32)


def bar_cast(*, length: float = 60, width: float = 12, angle_deg: float = 0.0) -> Cast:
    return cast(bar_piece(length=length, width=width), pose=Pose(1.0, float(np.deg2rad(angle_deg))))


def middle(one: Cast) -> tuple[int, int]:
    rows, columns = np.nonzero(one.core)
    return round((rows.min() + rows.max()) / 2), round((columns.min() + columns.max()) / 2)


def put(one: Cast, *, row: int, column: int) -> Placed:
    """``one`` with the middle of its body at a place of the canvas."""
    own = middle(one)
    return Placed(one, row - own[0], column - own[1])


def on_canvas(*placed: Placed) -> list[Mask]:
    """The masks of all on one canvas."""
    top, left = min(one.top for one in placed), min(one.left for one in placed)
    height = max(one.top + one.cast.core.shape[0] for one in placed) - top
    width = max(one.left + one.cast.core.shape[1] for one in placed) - left
    masks = []
    for one in placed:
        mask = np.zeros((height, width), np.bool_)
        rows, columns = one.cast.core.shape
        mask[one.top - top : one.top - top + rows, one.left - left : one.left - left + columns] = (
            one.cast.core
        )
        masks.append(mask)
    return masks


# Relations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shared_rows", "expected"),
    [
        (-9, SINGLE), (-4, SINGLE), (-3, TOUCH), (0, TOUCH), (3, TOUCH), (4, None), (6, None), (7, OVERLAP),
    ],
)  # fmt: skip
def test_two_bars_side_by_side_at_a_known_distance(shared_rows: int, expected: ClusterType | None) -> None:
    """Both 12 wide: touching is up to 3 pixels deep (gap: up to 3), overlapping 6 and more.

    Distances are measured to within five per cent: the sixth row counts as 5.7.
    """
    one = bar_cast()
    height = int(one.core.any(axis=1).sum())
    assert 12 <= height <= 15
    other = put(one, row=50 + height - shared_rows, column=50)
    assert relation_at(put(one, row=50, column=50), other, limits=LIMITS) is expected


@pytest.mark.parametrize("angle_deg", [30, 60, 90, 140])
def test_crossing_bars_overlap_whatever_their_angle(angle_deg: float) -> None:
    one, other = bar_cast(), bar_cast(angle_deg=angle_deg)
    assert relation_at(put(one, row=0, column=0), put(other, row=0, column=0), limits=LIMITS) is OVERLAP


def test_bodies_far_apart_have_no_relation() -> None:
    one = bar_cast()
    assert relation_at(put(one, row=0, column=0), put(one, row=500, column=-300), limits=LIMITS) is SINGLE


def test_two_contacts_of_one_pair_are_both_told() -> None:
    """A horseshoe over a bar: one leg lies across it, the other one ends on its edge."""
    bar = bar_cast(length=90)
    legs = np.zeros((60, 80), np.bool_)
    legs[5:15, 5:75] = True
    legs[5:55, 5:17] = True
    legs[5:29, 63:75] = True
    horseshoe = replace(bar, core=legs)
    body = Placed(horseshoe, 0, 0)
    across = put(bar, row=35, column=40)
    assert relation_at(across, body, limits=LIMITS) is BOTH


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_relation_agrees_with_plain_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = drawn_pieces()
    one, other = (
        cast(pieces[int(rng.integers(len(pieces)))], pose=Pose(0.7, rng.uniform(0, 6.3))) for _ in range(2)
    )
    placed = put(one, row=0, column=0)
    body = put(other, row=int(rng.integers(-30, 31)), column=int(rng.integers(-30, 31)))
    width = min(one.width_px, other.width_px)
    found = meetings(*on_canvas(placed, body))
    edges = (-LIMITS.reach_px - 1, LIMITS.touch_depth * width, LIMITS.overlap_depth * width)
    near_an_edge = any(
        abs(meeting.depth_px - edge) < 0.06 * abs(edge) + 0.1 for meeting in found for edge in edges
    )
    assume(not near_an_edge and len(found) <= 1)
    depth = found[0].depth_px if found else -99.0
    expected = (
        SINGLE if depth < edges[0] else TOUCH if depth <= edges[1] else OVERLAP if depth >= edges[2] else None
    )
    assert relation_at(placed, body, limits=LIMITS) is expected


# Scene ----------------------------------------------------------------------------------------------------


def test_scene_holds_the_deepest_of_all_bodies_on_every_second_pixel() -> None:
    placed = [put(bar_cast(), row=3, column=-8), put(bar_cast(angle_deg=70, width=9), row=20, column=30)]
    scene = scene_of(placed, pad=5)
    assert scene.width_px == pytest.approx(9)
    for i in range(scene.depth.shape[0]):
        for j in range(scene.depth.shape[1]):
            row, column = scene.top + 2 * i, scene.left + 2 * j
            depths, ends = [-99.0], [False]
            for one in placed:
                y, x = row - one.top, column - one.left
                if 0 <= y < one.cast.depth.shape[0] and 0 <= x < one.cast.depth.shape[1]:
                    depths.append(float(one.cast.depth[y, x]))
                    ends.append(bool(one.cast.ends[y, x]))
            assert scene.depth[i, j] == max(depths)
            assert scene.ends[i, j] == any(ends)
    assert not (scene.depth[[0, -1]] > -1).any()


# All places at once ---------------------------------------------------------------------------------------


def shared(scene: Scene, mask: Mask, body: Cast, *, partner: Mask, shift: tuple[int, int]) -> int:
    """Pixels (every second one) that ``mask`` of the scene and ``partner`` of the body share, by plain loops.

    ``shift`` is the place of the body's first pixel in the scene's picture, an entry of ``admissible``.
    """
    count = 0
    rows, columns = body.core.shape
    for i in range(scene.depth.shape[0]):
        for j in range(scene.depth.shape[1]):
            y, x = 2 * i - shift[0], 2 * j - shift[1]
            if mask[i, j] and 0 <= y < rows and 0 <= x < columns:
                count += bool(partner[y, x])
    return count


WISHES = [
    Wish(TOUCH, Contact.END_TO_END, 1.0),
    Wish(TOUCH, Contact.T_JUNCTION, -2.0),
    Wish(TOUCH, Contact.GLANCING, 2.0),
    Wish(TOUCH, Contact.SIDE_BY_SIDE, 0.5),
    Wish(OVERLAP, Contact.CROSSING, 0.0),
    Wish(OVERLAP, Contact.T_JUNCTION, 0.0),
    Wish(OVERLAP, Contact.SIDE_BY_SIDE, 0.0),
]


def overlaps(scene: Scene, body: Cast, *, contact: Contact, shift: tuple[int, int]) -> bool:
    """What ``admissible`` says of one shift for an overlap, by counting pixels."""

    def area(mask: Mask, partner: Mask) -> int:
        return shared(scene, mask, body, partner=partner, shift=shift)

    square = min(scene.width_px, body.width_px) ** 2
    inside = scene.depth > 0
    both = 4 * area(inside, body.core)
    ends = area(inside, body.ends) + area(scene.ends & inside, body.core)
    fits = {
        Contact.SIDE_BY_SIDE: both >= 1.5 * square,
        Contact.CROSSING: not ends and both < 3 * square,
        Contact.T_JUNCTION: ends > 0 and both < 2 * square,
    }
    least = 0.5 * square**0.5
    deep = area(scene.depth >= least, body.core) + area(inside, np.asarray(body.depth >= least))
    return deep > 0 and fits[contact]


def touches(scene: Scene, body: Cast, *, wish: Wish, shift: tuple[int, int]) -> bool:
    """The same for a touch; side by side, all that touch and not only the longest."""

    def area(mask: Mask, partner: Mask) -> int:
        return shared(scene, mask, body, partner=partner, shift=shift)

    near = scene.depth > wish.depth_px - 1.5
    own, other = area(near, body.ends) > 0, area(near & grown(scene.ends), body.core) > 0
    fits = {
        Contact.SIDE_BY_SIDE: True,
        Contact.END_TO_END: own and other,
        Contact.T_JUNCTION: own != other,
        Contact.GLANCING: not own and not other,
    }
    deeper = area(scene.depth > wish.depth_px + 0.5, body.core)
    return not deeper and area(near, body.core) > 0 and fits[wish.contact]


def grown(mask: Mask) -> Mask:
    """``mask`` and its neighbourhood: a disc of five pixels across, by plain loops."""
    disc = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if j == 0 or abs(i) < 2]
    wide = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        for down, right in disc:
            if 0 <= row + down < mask.shape[0] and 0 <= column + right < mask.shape[1]:
                wide[row + down, column + right] = True
    return wide


def fulfils(scene: Scene, body: Cast, *, wish: Wish, shift: tuple[int, int]) -> bool:
    if wish.relation is OVERLAP:
        return overlaps(scene, body, contact=wish.contact, shift=shift)
    return touches(scene, body, wish=wish, shift=shift)


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: f"{wish.relation.label}-{wish.contact.value}")
def test_admissible_places_are_those_that_counting_finds(wish: Wish) -> None:
    """A few dozen shifts, chosen near the border between admissible and not, each counted pixel by pixel."""
    rng = np.random.default_rng(3)
    pieces = drawn_pieces()
    placed = [Placed(cast(pieces[20], pose=Pose(0.55, 0.4)), 0, 0)]
    body = cast(pieces[24], pose=Pose(0.55, 2.0))
    scene = scene_of(placed, pad=5)
    shifts = admissible(scene, body, wish=wish, limits=LIMITS)
    rows, columns = body.core.shape
    coarse = ((rows + 1) // 2, (columns + 1) // 2)
    assert shifts.shape == (scene.depth.shape[0] + coarse[0] - 1, scene.depth.shape[1] + coarse[1] - 1)
    found = np.argwhere(shifts)
    others = np.argwhere(~shifts)
    chosen = [*rng.permutation(found)[:12], *rng.permutation(others)[:16]]
    for i, j in chosen:
        counted = fulfils(scene, body, wish=wish, shift=(2 * i - rows + 1, 2 * j - columns + 1))
        if wish == WISHES[3]:
            assert counted or not shifts[i, j], "the longest of those that touch"
        else:
            assert counted == shifts[i, j]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from(WISHES))
def test_most_admissible_places_show_the_relation_when_measured(seed: int, wish: Wish) -> None:
    """Areas on every second pixel cannot tell exactly; they must still be worth trying."""
    rng = np.random.default_rng(seed)
    pieces = drawn_pieces()
    chosen = [pieces[int(i)] for i in rng.integers(len(pieces), size=2)]
    first, body = (cast(piece, pose=Pose(0.6, rng.uniform(0, 6.3))) for piece in chosen)
    placed = Placed(first, 0, 0)
    scene = scene_of([placed], pad=5)
    places = np.argwhere(admissible(scene, body, wish=wish, limits=LIMITS))
    assume(len(places) >= 10)
    rows, columns = body.core.shape
    right = 0
    tried = rng.permutation(places)[:10]
    for i, j in tried:
        there = Placed(body, scene.top + 2 * int(i) - rows + 1, scene.left + 2 * int(j) - columns + 1)
        right += relation_at(placed, there, limits=LIMITS) is wish.relation
    assert right >= (3 if wish.relation is OVERLAP else 4)


def test_kinds_of_contact_are_told_apart() -> None:
    """Two bars: where their middles may lie for each kind of contact."""
    one = bar_cast(length=60, width=12)
    upright = bar_cast(length=60, width=12, angle_deg=90)
    placed = put(one, row=0, column=0)
    scene = scene_of([placed], pad=5)

    def middles(body: Cast, contact: Contact, relation: ClusterType, depth_px: float) -> np.ndarray:
        found = np.argwhere(admissible(scene, body, wish=Wish(relation, contact, depth_px), limits=LIMITS))
        shape, own = np.array(body.core.shape), np.array(middle(body))
        return np.asarray(2 * found - shape + 1 + (scene.top, scene.left) + own)

    ends = middles(one, Contact.END_TO_END, TOUCH, 0.0)
    assert (np.abs(ends[:, 1]) > 45).all()
    assert (np.abs(ends[:, 0]) <= 13).all()
    sides = middles(one, Contact.SIDE_BY_SIDE, TOUCH, 0.0)
    assert (np.abs(np.abs(sides[:, 0]) - 12) <= 2).all()
    assert (np.abs(sides[:, 1]) <= 40).all()
    crossings = middles(upright, Contact.CROSSING, OVERLAP, 0.0)
    assert (np.abs(crossings) <= 30 - 0.6 * 12 - 2).all()
    assert len(crossings) > 50
    tees = middles(upright, Contact.T_JUNCTION, TOUCH, 0.0)
    assert (np.abs(np.abs(tees[:, 0]) - 36) <= 3).any()
    assert (np.maximum(np.abs(tees[:, 0]), np.abs(tees[:, 1])) >= 33).all()


def test_room_to_cross_is_how_much_longer_than_wide_the_shorter_middle_is() -> None:
    scene = scene_of([put(bar_cast(width=8, length=60), row=0, column=0)], pad=5)
    body = bar_cast(width=8, length=24, angle_deg=90)
    middle_px = int((body.core & ~body.ends).sum())
    room = room_to_cross(scene, middle_px=middle_px, width_px=8.0)
    assert room == pytest.approx(middle_px / 64, rel=0.1)
    assert room_to_cross(scene, middle_px=10**6, width_px=8.0) == pytest.approx((60 - 2 * 4.8) / 8, rel=0.15)
    all_ends = replace(scene, ends=np.asarray(scene.depth > 0))
    assert room_to_cross(all_ends, middle_px=middle_px, width_px=8.0) == 0.0


def test_without_room_there_is_hardly_an_admissible_place() -> None:
    """What composition leaves out unseen is what it would not have found."""
    rng = np.random.default_rng(0)
    pieces = drawn_pieces()
    limits = Limits(touch_depth=0.25, overlap_depth=0.56, reach_px=3.0)
    wish = Wish(OVERLAP, Contact.CROSSING, 0.0)
    found: dict[bool, list[bool]] = {False: [], True: []}
    for _ in range(150):
        chosen = [pieces[int(i)] for i in rng.integers(len(pieces), size=2)]
        first, body = (cast(piece, pose=Pose(0.6, rng.uniform(0, 6.3))) for piece in chosen)
        scene = scene_of([Placed(first, 0, 0)], pad=5)
        room = room_to_cross(scene, middle_px=chosen[1].middle_px * 0.36, width_px=body.width_px)
        found[room >= 0.8].append(bool(admissible(scene, body, wish=wish, limits=limits).any()))
    assert len(found[False]) > 10
    assert np.mean(found[False]) < 0.1 < np.mean(found[True])
