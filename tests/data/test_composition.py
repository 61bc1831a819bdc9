from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import (
    STEADY,
    bar_piece,
    cluster_piece,
    composer,
    digest,
    drawn_pieces,
    drawn_region,
    parts,
    relations_in,
    widths_in,
)

from supcam.core.config import CompositionConfig, CropConfig, ForegroundConfig
from supcam.core.crop import network_input
from supcam.core.types import ClusterType, CompositionError
from supcam.data.composition import Composed, Composer, composed_type, relation_plan
from supcam.data.piece import prepare

SINGLE, TOUCH, OVERLAP, BOTH = ClusterType
Key = TypeVar("Key")
ROOT = Path(__file__).resolve().parents[2]

LABEL_TABLE = {
    # (A, B): (A touches B, A overlaps B)
    (0, 0): (1, 2), (0, 1): (1, 3), (0, 2): (3, 2), (0, 3): (3, 3),
    (1, 0): (1, 3), (1, 1): (1, 3), (1, 2): (3, 3), (1, 3): (3, 3),
    (2, 0): (3, 2), (2, 1): (3, 3), (2, 2): (3, 2), (2, 3): (3, 3),
    (3, 0): (3, 3), (3, 1): (3, 3), (3, 2): (3, 3), (3, 3): (3, 3),
}  # fmt: skip
"""Written out by hand: 4 x 4 types and 2 relations."""

POSSIBLE = [(SINGLE, 1), (TOUCH, 2), (TOUCH, 3), (OVERLAP, 2), (OVERLAP, 3), (BOTH, 3), (BOTH, 4)]
IMPOSSIBLE = [
    (SINGLE, 0), (SINGLE, 2), (TOUCH, 1), (TOUCH, 0), (OVERLAP, 1), (OVERLAP, -2), (BOTH, 2), (BOTH, 1),
]  # fmt: skip


# Labels ---------------------------------------------------------------------------------------------------


def test_label_table_is_the_one_written_out_by_hand() -> None:
    assert len(LABEL_TABLE) == 16
    for (a, b), expected in LABEL_TABLE.items():
        for relation, kind in zip((TOUCH, OVERLAP), expected, strict=True):
            assert composed_type(ClusterType(a), ClusterType(b), relation=relation) is ClusterType(kind)


@pytest.mark.parametrize("relation", [SINGLE, BOTH])
def test_one_join_makes_one_relation(relation: ClusterType) -> None:
    with pytest.raises(CompositionError, match=f"relation '{relation.label}'"):
        composed_type(SINGLE, SINGLE, relation=relation)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.sampled_from(list(ClusterType)))
def test_planned_relations_make_the_type_or_the_request_is_refused(
    seed: int, n: int, kind: ClusterType
) -> None:
    possible = (n == 1) if kind is SINGLE else n >= (3 if kind is BOTH else 2)
    if not possible:
        with pytest.raises(CompositionError, match=f"{n} chromosomes for type {kind.label}"):
            relation_plan(kind, n, rng=np.random.default_rng(seed))
        return
    made = SINGLE
    relations = relation_plan(kind, n, rng=np.random.default_rng(seed))
    for relation in relations:
        made = composed_type(made, SINGLE, relation=relation)
    assert made is kind
    assert len(relations) == n - 1


# What was claimed is what the masks show ------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(POSSIBLE))
def test_masks_show_the_claimed_relations_and_no_other(seed: int, wanted: tuple[ClusterType, int]) -> None:
    """By plain distances between pixels; contacts with third bodies included."""
    kind, n = wanted
    made = composer(**STEADY).draw(np.random.default_rng(seed), kind=kind, n_chromosomes=n)
    assert (made.type, made.n_chromosomes, len(made.masks), len(made.contacts)) == (kind, n, n, n - 1)
    shown = SINGLE
    for bit in relations_in(made):
        shown = shown | bit
    assert shown is kind


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_overlapping_masks_intersect_and_touching_ones_hardly_do(seed: int) -> None:
    source, rng = composer(**STEADY), np.random.default_rng(seed)
    one, other = source.draw(rng, kind=OVERLAP, n_chromosomes=2).masks
    shared = (one & other).sum()
    assert shared > 30
    touching = source.draw(rng, kind=TOUCH, n_chromosomes=2)
    width = min(widths_in(touching))
    assert (touching.masks[0] & touching.masks[1]).sum() <= 0.25 * 1.1 * width * 128


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.06, 0.15, 0.25]), st.sampled_from([TOUCH, OVERLAP, BOTH]))
def test_composed_cluster_is_one_component_at_the_threshold(
    seed: int, level: float, kind: ClusterType
) -> None:
    """Found by walking from pixel to pixel; specks of less than a dozen pixels do not count.

    Before bands are drawn: a light band may part what the threshold of its laboratory held together.
    """
    made = composer(segmentation_levels=(level, level), band_share=0.0).draw(
        np.random.default_rng(seed), kind=kind
    )
    above = parts(np.argwhere(made.stain > level * made.level))
    assert sum(len(part) >= 12 for part in above) == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_masks_cover_the_stained_bodies_and_nothing_else(seed: int) -> None:
    made = composer().draw(np.random.default_rng(seed))
    union = made.masks.any(axis=0)
    assert all(mask.any() for mask in made.masks)
    stained = made.stain > 0.5 * made.level
    assert (stained & union).sum() > 0.97 * stained.sum()
    assert made.stain[union].mean() > 4 * made.stain[~union].mean()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_picture_is_a_network_input_wholly_inside_the_square(seed: int) -> None:
    crop = CropConfig()
    made = composer().draw(np.random.default_rng(seed))
    assert made.picture.shape == made.stain.shape == made.masks.shape[1:] == (crop.size_px, crop.size_px)
    assert made.picture.dtype == np.float32
    assert made.picture.min() == 0.0
    assert 0.5 < made.picture.max() <= 2.5
    rows, columns = np.nonzero(made.masks.any(axis=0))
    for ends in ((rows.min(), rows.max()), (columns.min(), columns.max())):
        assert abs(ends[0] - (crop.size_px - 1 - ends[1])) <= 2, "centred"
        assert ends[0] >= crop.margin_px - 1


def test_what_does_not_fit_is_made_smaller_and_still_shows_its_relations() -> None:
    long = [bar_piece(length=150, width=11, angle_deg=angle) for angle in (10, 80)]
    config = CompositionConfig(scale_jitter=0.0, overlap_shares={"crossing": 1.0})
    source = Composer(long, config=config, crop=CropConfig())
    made = source.compose(long, relations=[OVERLAP], rng=np.random.default_rng(4))
    assert max(widths_in(made)) < 10
    assert relations_in(made) == {OVERLAP}
    assert not made.masks[:, [0, 1, -1, -2]].any()


# Same seed, same picture ----------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_same_seed_gives_the_same_picture(seed: int) -> None:
    source = composer()
    first, again = (digest(source.draw(np.random.default_rng(seed))) for _ in range(2))
    assert first == again
    assert digest(composer().draw(np.random.default_rng(seed))) == first


def test_other_seeds_give_other_pictures() -> None:
    source = composer()
    assert len({digest(source.draw(np.random.default_rng(seed))) for seed in range(20)}) == 20


def test_same_seed_gives_the_same_picture_in_another_process() -> None:
    code = (
        "import numpy as np\n"
        "from tests.drawn_pieces import composer, digest\n"
        "print(*(digest(composer().draw(np.random.default_rng(seed))) for seed in range(8)))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [digest(composer().draw(np.random.default_rng(seed))) for seed in range(8)]


def test_drawing_changes_nothing_in_the_pieces() -> None:
    pieces = drawn_pieces()
    before = [(piece.stain.tobytes(), piece.core.tobytes(), piece.ends.tobytes()) for piece in pieces]
    source = composer()
    for seed in range(20):
        source.draw(np.random.default_rng(seed))
    assert before == [(one.stain.tobytes(), one.core.tobytes(), one.ends.tobytes()) for one in pieces]


# Clusters as inputs ---------------------------------------------------------------------------------------

INPUTS = [(TOUCH, 2), (OVERLAP, 2), (BOTH, 3)]


@pytest.mark.parametrize("relation", [TOUCH, OVERLAP])
@pytest.mark.parametrize(("kind", "n"), INPUTS)
def test_labelled_cluster_and_a_single_make_a_larger_cluster(
    kind: ClusterType, n: int, relation: ClusterType
) -> None:
    source, single = composer(tries=60, **STEADY), drawn_pieces()[3]
    made = source.compose(
        [cluster_piece(kind, n), single], relations=[relation], rng=np.random.default_rng(5)
    )
    assert made.type is ClusterType(kind | relation)
    assert made.n_chromosomes == n + 1
    assert len(made.masks) == 2
    assert relations_in(made) == {relation}


def test_two_clusters_make_one() -> None:
    parents = [cluster_piece(TOUCH, 2), cluster_piece(OVERLAP, 2, seed=3)]
    made = composer(tries=60).compose(parents, relations=[TOUCH], rng=np.random.default_rng(2))
    assert (made.type, made.n_chromosomes) == (BOTH, 4)
    assert made.parents == tuple(parents)


# What cannot be made is said ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "n"), IMPOSSIBLE)
def test_contradiction_of_type_and_count_is_refused(kind: ClusterType, n: int) -> None:
    with pytest.raises(CompositionError, match=f"{n} chromosomes for type {kind.label}"):
        composer().draw(np.random.default_rng(1), kind=kind, n_chromosomes=n)


def test_relations_that_do_not_fit_the_pieces_are_refused(rng: np.random.Generator) -> None:
    one = drawn_pieces()[0]
    for pieces, relations in (([one], [TOUCH]), ([one, one], []), ([], [])):
        with pytest.raises(CompositionError, match=f"{len(pieces)} pieces and {len(relations)} relations"):
            composer().compose(pieces, relations=relations, rng=rng)
    with pytest.raises(CompositionError, match="touching_overlapping"):
        composer().compose([one, one], relations=[BOTH], rng=rng)


def test_crossing_of_two_stubs_is_reported() -> None:
    """Bodies as short as wide have no middle away from their ends: they cannot cross, whatever the seed."""
    stubs = [bar_piece(length=14, width=14) for _ in range(2)]
    source = Composer(stubs, config=CompositionConfig(overlap_shares={"crossing": 1.0}), crop=CropConfig())
    with pytest.raises(CompositionError, match="no admissible placement in 120 draws for: overlapping"):
        source.compose(stubs, relations=[OVERLAP], rng=np.random.default_rng(0))
    with pytest.raises(CompositionError, match="no overlapping of 2 in 120 draws"):
        source.draw(np.random.default_rng(0), kind=OVERLAP, n_chromosomes=2)


@pytest.mark.parametrize(
    "pieces", [[], [cluster_piece(TOUCH, 2)], [*drawn_pieces()[:3], cluster_piece(TOUCH, 2)]]
)
def test_composer_draws_from_single_chromosomes_only(pieces: list[object]) -> None:
    """A cluster among them would make other types and counts than were asked for."""
    with pytest.raises(CompositionError, match=f"{len(pieces)} pieces, "):
        Composer(pieces, config=CompositionConfig(), crop=CropConfig())  # type: ignore[arg-type]


# Shares and groups ----------------------------------------------------------------------------------------


def assert_shares(counts: Counter[Key], shares: Mapping[Key, float], *, slack: float) -> None:
    n, total = counts.total(), sum(shares.values())
    for key, share in shares.items():
        expected = share / total
        margin = 3.5 * np.sqrt(expected * (1 - expected) / n) + slack
        assert abs(counts[key] / n - expected) <= margin, f"{key}: {counts[key] / n:.3f}, not {expected:.3f}"
    assert not set(counts) - {key for key, share in shares.items() if share > 0}


@pytest.fixture(scope="module")
def many() -> list[Composed]:
    source = composer()
    return [source.draw(np.random.default_rng([6, i])) for i in range(400)]


def test_types_come_in_the_configured_shares(many: list[Composed]) -> None:
    shares = dict(zip(ClusterType, CompositionConfig().type_shares, strict=True))
    assert_shares(Counter(one.type for one in many), shares, slack=0.0)


def test_group_sizes_come_in_the_configured_shares(many: list[Composed]) -> None:
    sizes = CompositionConfig().group_shares
    of_two_and_more = Counter(one.n_chromosomes for one in many if one.type in (TOUCH, OVERLAP))
    assert_shares(of_two_and_more, {2 + i: share for i, share in enumerate(sizes)}, slack=0.0)
    of_three_and_more = Counter(one.n_chromosomes for one in many if one.type is BOTH)
    assert_shares(of_three_and_more, {3 + i: share for i, share in enumerate(sizes[1:])}, slack=0.0)


@pytest.mark.parametrize("kind", [TOUCH, OVERLAP])
def test_contacts_come_in_the_configured_shares(many: list[Composed], kind: ClusterType) -> None:
    config = CompositionConfig()
    shares = config.touch_shares if kind is TOUCH else config.overlap_shares
    seen = Counter(contact.value for one in many if one.type is kind for contact in one.contacts)
    assert_shares(seen, {str(name): share for name, share in shares.items()}, slack=0.02)


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        (TOUCH, {"touch_shares": {"end_to_end": 1.0}}),
        (TOUCH, {"touch_shares": {"glancing": 0.5, "side_by_side": 0.5, "t_junction": 0.0}}),
        (OVERLAP, {"overlap_shares": {"crossing": 1.0}}),
        (OVERLAP, {"overlap_shares": {"t_junction": 1.0}}),
    ],
)
def test_contacts_of_share_zero_never_come(kind: ClusterType, shares: dict[str, dict[str, float]]) -> None:
    source = composer(**shares)
    allowed = {name for table in shares.values() for name, share in table.items() if share > 0}
    made = [source.draw(np.random.default_rng(seed), kind=kind, n_chromosomes=2) for seed in range(20)]
    assert {contact.value for one in made for contact in one.contacts} == allowed


def test_group_size_one_share_makes_the_smallest_cluster_of_both_kinds() -> None:
    """Touching-overlapping takes three chromosomes, also where shares end at two."""
    made = composer(group_shares=(1.0,)).draw(np.random.default_rng(0), kind=BOTH)
    assert made.n_chromosomes == 3


def test_partners_come_from_one_case() -> None:
    source = composer()
    for seed in range(40):
        assert len({piece.group for piece in source.draw(np.random.default_rng(seed)).parents}) == 1


def test_sources_come_in_the_configured_shares() -> None:
    pieces = [replace(piece, group=f"{name}/a/b") for name in ("x", "y") for piece in drawn_pieces()[:8]]
    pieces += [replace(piece, group=f"y/other/{i}") for i in range(2) for piece in drawn_pieces()[8:16]]
    config = CompositionConfig(source_shares={"x": 0.25, "y": 0.75}, type_shares=(1, 0, 0, 0))
    source = Composer(pieces, config=config, crop=CropConfig())
    drawn = Counter(
        source.draw(np.random.default_rng(i)).parents[0].group.partition("/")[0] for i in range(300)
    )
    assert_shares(Counter(drawn), {"x": 0.25, "y": 0.75}, slack=0.0)


def test_sources_without_any_share_are_refused() -> None:
    with pytest.raises(CompositionError, match="no share for any source"):
        composer(source_shares={"drawn": 0.0, "elsewhere": 1.0})


def test_lonely_pieces_are_joined_by_case_and_then_by_source() -> None:
    six = drawn_pieces()[:6]
    places = ["s/a/1"] * 3 + ["s/a/2"] * 3
    source = Composer(
        [replace(piece, group=place) for piece, place in zip(six, places, strict=True)],
        config=CompositionConfig(),
        crop=CropConfig(),
    )
    assert [len(group) for group in source.groups.members] == [6]
    places = ["s/a/1"] * 6 + ["s/b/1"] * 2 + ["s/c/1"] * 2 + ["t/d/1"]
    source = Composer(
        [replace(piece, group=place) for piece, place in zip([*six, *six][:11], places, strict=True)],
        config=CompositionConfig(),
        crop=CropConfig(),
    )
    assert sorted(len(group) for group in source.groups.members) == [1, 4, 6]


# Composed and real --------------------------------------------------------------------------------------


def test_composed_single_is_the_network_input_of_the_same_chromosome() -> None:
    """Up to the quarter turn, the mirror and the part of a pixel that composition adds."""
    region = drawn_region(2)
    piece = prepare(region, config=ForegroundConfig())
    assert piece is not None
    source = composer(free_rotation_share=0.0, band_share=0.0, **STEADY)
    real = network_input(region, config=CropConfig())
    for seed in range(6):
        made = source.compose([piece], relations=[], rng=np.random.default_rng(seed)).picture
        turns = [np.rot90(flip, k) for flip in (made, made[:, ::-1]) for k in range(4)]
        shifts = [
            np.roll(turn, (down, right), (0, 1))
            for turn in turns
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
        assert max(np.corrcoef(shift.ravel(), real.ravel())[0, 1] for shift in shifts) > 0.97
        assert abs(float(made.sum()) / float(real.sum()) - 1) < 0.06
        assert abs(float(made.max()) - float(real.max())) < 0.15
