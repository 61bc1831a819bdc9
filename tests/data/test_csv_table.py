from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supcam.core.types import ManifestError
from supcam.data.csv_table import LineProblem, read_table, refuse_lines

words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12).map(str.strip)


@given(rows=st.lists(st.tuples(words.filter(bool), words), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_was_written_is_read(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("b", "a"), *rows])
    found = read_table(path, required=("a",), optional=("b", "c"))
    assert [(row["b"], row["a"], row["c"]) for row in found] == [(one, two, "") for one, two in rows]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('\ufeffa,b\n1,2\n\n"two\nlines",3\n4,5\n', encoding="utf-8")
    assert [row.line for row in read_table(path, required=("a", "b"))] == [2, 5, 6]


@pytest.mark.parametrize("header", ["", "b", "a,a", "a,bb", "a;b", "A"])
def test_a_wrong_header_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(header + "\n")
    with pytest.raises(ManifestError, match="the columns"):
        read_table(path, required=("a",), optional=("b",))


def test_lines_of_another_length_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n3\n4,5,6\n")
    with pytest.raises(ManifestError, match="line 3: 1 fields; line 4: 3 fields"):
        read_table(path, required=("a", "b"))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(ManifestError, match="readable CSV"):
        read_table(path, required=("a", "b"))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        read_table(tmp_path / "none.csv", required=("a",))


def test_only_the_first_ten_lines_are_named(tmp_path: Path) -> None:
    problems = [LineProblem(line, "wrong") for line in range(2, 15)]
    with pytest.raises(ManifestError, match="line 11: wrong; and 3 more such lines"):
        refuse_lines(problems, expected="right ones", path=tmp_path)
    refuse_lines([], expected="right ones", path=tmp_path)
