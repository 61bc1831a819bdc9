from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.drawn_decisions import write_export

from supcam.core.types import ManifestError
from supcam.data.decided import DecidedSet, read_decided, split_by_case, unpacked


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> DecidedSet:
    archive = write_export(tmp_path_factory.mktemp("export") / "decisions.zip")
    with unpacked(archive) as folder:
        return read_decided(folder)


def test_an_export_says_types_rejections_reviewers_and_models(decided: DecidedSet) -> None:
    assert (len(decided.typed), len(decided.rejected), len(decided.cases)) == (48, 6, 6)
    assert (decided.n_reviewers, decided.models) == (1, (("1.0", "0" * 64),))


def test_no_case_is_on_two_sides_and_none_changes_sides_when_more_come(decided: DecidedSet) -> None:
    some, more = decided.of_cases(decided.cases[:5]), decided
    few = split_by_case(some, share=0.4, seed=1)
    many = split_by_case(more, share=0.4, seed=1)
    assert not {*many.learning.cases} & {*many.held_out.cases}
    assert {*many.learning.cases} | {*many.held_out.cases} == {*decided.cases}
    if not few.notes and not many.notes:
        assert {*few.held_out.cases} <= {*many.held_out.cases}


def test_two_cases_are_on_either_side_however_the_share(decided: DecidedSet) -> None:
    for share in (0.001, 0.6):
        halves = split_by_case(decided, share=share, seed=0)
        assert min(len(halves.learning.cases), len(halves.held_out.cases)) >= 2
        assert bool(halves.notes) is (share == 0.001)


def test_too_few_cases_are_refused(decided: DecidedSet) -> None:
    with pytest.raises(ManifestError, match="3 cases"):
        split_by_case(decided.of_cases(decided.cases[:3]), share=0.3, seed=0)


@pytest.mark.parametrize("name", ["../evil.png", "0/a/b.png", "run.sh"])
def test_a_zip_with_other_files_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ManifestError, match="no export has"), unpacked(tmp_path / "x.zip"):
        pass
    (tmp_path / "y.zip").write_bytes(b"no zip")
    with pytest.raises(ManifestError, match="export of a service"), unpacked(tmp_path / "y.zip"):
        pass
