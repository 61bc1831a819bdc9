from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.drawn_pieces import drawn_region
from tests.harvested import harvest

from supcam.core.types import ClusterType
from supcam.data.harvest import Harvest
from supcam.learn.label_thrift import with_few_labels

_, TOUCH, OVERLAP, BOTH = ClusterType


def labelled() -> Harvest:
    one = drawn_region(0)
    kinds = [TOUCH] * 6 + [OVERLAP] * 5 + [BOTH] * 2 + [None] * 3
    clusters = tuple(replace(one, type=kind, case=str(place)) for place, kind in enumerate(kinds))
    return replace(harvest(), clusters=clusters)


def kept(n: int, *, seed: int = 1) -> list[tuple[ClusterType | None, str]]:
    few = with_few_labels(labelled(), clusters_a_class=n, seed=seed)
    return [(one.type, one.case) for one in few.clusters]


def test_so_many_of_each_type_are_left_and_unknown_ones_stay() -> None:
    assert Counter(kind for kind, _ in kept(3)) == {TOUCH: 3, OVERLAP: 3, BOTH: 2, None: 3}
    assert Counter(kind for kind, _ in kept(0)) == {None: 3}


def test_draw_follows_the_seed_and_fewer_are_part_of_more() -> None:
    assert kept(3) == kept(3)
    assert {*kept(1)} < {*kept(3)}
    assert len({frozenset(kept(1, seed=seed)) for seed in range(8)}) > 1


def test_all_else_is_as_it_was() -> None:
    whole = labelled()
    few = with_few_labels(whole, clusters_a_class=1, seed=1)
    for name in ("singles", "debris", "left_out"):
        assert getattr(few, name) is getattr(whole, name)
