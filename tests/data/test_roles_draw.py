from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.core.types import Box, ClusterType, Sample
from supcam.data.manifest import AnnotatedPicture, Manifest
from supcam.data.roles_draw import CaseCensus, deal_evenly, draw_roles, take_census
from supcam.data.sources import read_shared_pictures
from supcam.data.split import ROLES, CaseRole, read_roles

COMMITTED = Path(__file__).parents[2] / "experiments" / "roles.csv"


def sample(name: str, *, case: str, source: str) -> Sample:
    return Sample(path=Path(name), case=case, source=source, sha256=name)


def census(case: str, *, n_pictures: int = 1, source: str = "tseng24", **counts: int) -> CaseCensus:
    return CaseCensus(source, case, n_pictures=n_pictures, n_by_type=counts)


cases_of_a_source = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 3)), max_size=30
).map(
    lambda rows: [
        census(f"c{i}", n_pictures=n, touching=t, overlapping=o) for i, (n, t, o) in enumerate(rows)
    ]
)


class TestDrawing:
    @given(cases=cases_of_a_source, seed=st.integers(0, 9), n_sides=st.integers(1, 5))
    @settings(deadline=None)
    def test_sides_differ_by_one_case_at_most(self, cases: list[CaseCensus], seed: int, n_sides: int) -> None:
        rows = deal_evenly(cases, sides=ROLES[:n_sides], seed=seed)
        assert sorted(row.case for row in rows) == sorted(case.case for case in cases)
        sizes = Counter(row.role for row in rows)
        assert max(sizes.values(), default=0) - min(sizes[side] for side in ROLES[:n_sides]) <= 1

    @given(cases=cases_of_a_source, seed=st.integers(0, 9))
    @settings(deadline=None)
    def test_typed_cases_are_never_trained_on(self, cases: list[CaseCensus], seed: int) -> None:
        roles = draw_roles(cases, seed=seed, n_extra_pictures=5)
        typed = {case.case for case in cases if case.is_typed}
        assert not typed & set(roles.cases(source="tseng24", role="train"))
        assert {row.role for row in roles.rows} <= {"train", "select", "report"}

    @given(cases=cases_of_a_source, seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
    @settings(deadline=None)
    def test_the_order_of_the_listing_does_not_matter(
        self, cases: list[CaseCensus], seed: int, order: np.random.Generator
    ) -> None:
        drawn = draw_roles(cases, seed=seed)
        shuffled = list(cases)
        order.shuffle(shuffled)
        assert draw_roles(shuffled, seed=seed) == drawn

    def test_extra_metaphases_go_to_both_and_the_unknown_stay(self) -> None:
        cases = [census(f"c{i}", n_pictures=2) for i in range(30)] + [census(f"unknow{i}") for i in range(20)]
        roles = draw_roles(cases, seed=3, n_extra_pictures=9)
        assert len(roles.cases(source="tseng24", role="select")) == 5
        assert len(roles.cases(source="tseng24", role="report")) == 5
        assert sum(case.startswith("unknow") for case in roles.cases(source="tseng24", role="train")) == 20

    def test_types_are_balanced(self) -> None:
        cases = [census(f"t{i}", touching=1) for i in range(6)] + [
            census(f"o{i}", overlapping=2) for i in range(4)
        ]
        held = {"select": Counter[str](), "report": Counter[str]()}
        n_by_case = {case.case: case.n_by_type for case in cases}
        for row in deal_evenly(cases, sides=("select", "report"), seed=1):
            held[row.role].update(n_by_case[row.case])
        assert held["select"] == held["report"] == Counter(touching=3, overlapping=4)

    def test_whole_slides_of_dapi_metaphases_are_chosen_on(self) -> None:
        cases = [census(f"s{i}", n_pictures=3, source="adir") for i in range(15)]
        roles = draw_roles(cases, seed=4)
        assert len(roles.cases(source="adir", role="select")) == 7
        assert len(roles.cases(source="adir", role="report")) == 8

    def test_an_unknown_source_is_for_reporting(self) -> None:
        assert draw_roles([census("a", source="elsewhere")]).rows == (CaseRole("elsewhere", "a", "report"),)


def test_the_census_counts_files_once_and_types_by_sample() -> None:
    picture = AnnotatedPicture(Path("m.jpg"), "a", "t", boxes=(), sha256="1")
    crop = replace(sample("c.png", case="a", source="t"), type=ClusterType.TOUCHING)
    box = replace(sample("m.jpg", case="a", source="t"), box=Box(0, 0, 2, 2))
    manifest = Manifest(samples=(crop, box, sample("d.png", case="b", source="t")), pictures=(picture,))
    assert take_census(manifest) == (
        CaseCensus("t", "a", n_pictures=2, n_by_type={"touching": 1}),
        CaseCensus("t", "b", n_pictures=1, n_by_type={}),
    )


def test_the_committed_file_is_what_the_draw_gives(real_data: Path) -> None:
    assert draw_roles(take_census(read_shared_pictures(real_data).all)) == read_roles(COMMITTED)
