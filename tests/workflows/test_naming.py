from __future__ import annotations

from pathlib import Path

import pytest

from supcam.core.types import ManifestError
from supcam.workflows.naming import Names, name_pictures

PATHS = ("a/x1.png", "a/x2.png", "b/x1.tif", "b/x1.png", "c/B_X1.png")


def named(cases: str = "", *, pseudonymise: bool = False) -> Names:
    return name_pictures(PATHS, cases=cases, pseudonymise=pseudonymise)


def test_every_picture_has_a_stem_of_its_own() -> None:
    stems = [named().stems[name] for name in PATHS]
    assert stems == ["a_x1", "x2", "b_x1", "b_x1_2", "B_X1_3"]
    assert len({stem.casefold() for stem in stems}) == len(PATHS)
    assert named().shown == {name: name for name in PATHS}


@pytest.mark.parametrize(
    ("rule", "cases"),
    [
        ("", ["a/x1", "a/x2", "b/x1", "b/x1", "c/B_X1"]),
        ("parent", ["a", "a", "b", "b", "c"]),
        ("stem", ["x1", "x2", "x1", "x1", "B_X1"]),
        ("[xX]([0-9])$", ["1", "2", "1", "1", "1"]),
    ],
)
def test_a_rule_names_the_cases(rule: str, cases: list[str]) -> None:
    assert [named(rule).cases[name] for name in PATHS] == cases


def test_a_rule_that_fits_not_every_name_is_refused() -> None:
    with pytest.raises(ManifestError, match="no case in the name"):
        named("(a)/")
    with pytest.raises(ManifestError, match="case rule"):
        named("no group")


def test_a_table_names_the_cases_by_path_or_file_name(tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text("image,case\na/x1.png,one\nx2.png,two\nb/x1.tif,one\nb/x1.png,three\nB_X1.png,two\n")
    assert [named(str(table)).cases[name] for name in PATHS] == ["one", "two", "one", "three", "two"]
    table.write_text("image,case\na/x1.png,one\n")
    with pytest.raises(ManifestError, match=r"no case for 4 pictures, the first of them 'a/x2\.png'"):
        named(str(table))


def test_pseudonyms_tell_nothing_but_the_order() -> None:
    names = named("parent", pseudonymise=True)
    assert [names.shown[name] for name in PATHS] == [f"picture-00{n}" for n in range(1, 6)]
    assert names.stems == names.shown
    assert [names.cases[name] for name in PATHS] == [f"case-00{n}" for n in (1, 1, 2, 2, 3)]
