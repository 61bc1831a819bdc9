"""Which pictures a command line means: files, folders, patterns, each once, in a fixed order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supcam.core.types import SupcamError
from supcam.workflows.inputs import find_inputs, identity


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """b.png, a.TIF and others in a folder that is the current one."""
    for name in ("b.png", "a.TIF", "deep/er/c.jpeg", "notes.txt", "Thumbs.db", ".hidden.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "in" / ".git").mkdir()
    (tmp_path / "in" / ".git" / "d.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_gives_its_pictures_in_the_order_of_their_names(tree: Path) -> None:
    found = find_inputs(["in"])
    assert found.names == ("in/a.TIF", "in/b.png", "in/deep/er/c.jpeg")
    assert found.unusable == ()
    assert found.n_repeated == 0


def test_a_named_file_is_tried_whatever_it_is_called(tree: Path) -> None:
    names = ("in/notes.txt", "in/Thumbs.db", "in/.hidden.png", "missing.png")
    assert find_inputs(names).names == names


def test_names_stay_as_they_were_given(tree: Path) -> None:
    names = ("./in/b.png", f"{tree}/in/a.TIF", "in/../in/deep/er/c.jpeg")
    assert find_inputs(names).names == names


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.png", ("in/b.png",)),
        ("in/*", ("in/a.TIF", "in/b.png", "in/deep/er/c.jpeg")),
        ("in/**/*", ("in/a.TIF", "in/b.png", "in/deep/er/c.jpeg")),
        ("in/**/*.jpeg", ("in/deep/er/c.jpeg",)),
        ("in/[ab].*", ("in/a.TIF", "in/b.png")),
        ("in/?.png", ("in/b.png",)),
    ],
)
def test_a_quoted_pattern_is_expanded(tree: Path, pattern: str, expected: tuple[str, ...]) -> None:
    assert find_inputs([pattern]).names == expected


def test_an_absolute_pattern_is_expanded(tree: Path) -> None:
    assert find_inputs([f"{tree}/in/*.png"]).names == (f"{tree}/in/b.png",)


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    odd = tree / "in" / "[ab].png"
    odd.write_bytes(b"x")
    assert find_inputs(["in/[ab].png"]).names == ("in/[ab].png",)


def test_the_same_file_is_found_once_however_it_is_named(tree: Path) -> None:
    (tree / "same").symlink_to("in")
    found = find_inputs(["in/b.png", "./in/b.png", "in", "same/b.png", f"{tree}/in/deep/../b.png"])
    assert found.names == ("in/b.png", "in/a.TIF", "in/deep/er/c.jpeg")
    assert found.n_repeated == 4


def test_a_link_to_a_picture_is_a_picture_of_its_own(tree: Path) -> None:
    (tree / "in" / "link.png").symlink_to("b.png")
    assert "in/link.png" in find_inputs(["in"]).names
    assert identity("in/link.png") != identity("in/b.png")


def test_a_circle_of_links_ends(tree: Path) -> None:
    (tree / "in" / "deep" / "up").symlink_to(tree / "in")
    assert len(find_inputs(["in"]).names) == 3


def test_a_folder_without_pictures_is_listed_beside_others(tree: Path) -> None:
    (tree / "empty").mkdir()
    found = find_inputs(["empty", "in/b.png"])
    assert found.names == ("in/b.png",)
    assert [(str(item.path), item.reason) for item in found.unusable] == [
        ("empty", "no picture in this folder")
    ]


def test_a_pattern_that_matches_nothing_is_listed_beside_others(tree: Path) -> None:
    found = find_inputs(["in/*.bmp", "in/*.txt", "in/b.png"])
    assert [str(item.path) for item in found.unusable] == ["in/*.bmp", "in/*.txt"]


@pytest.mark.parametrize("named", [["empty"], ["in/*.bmp"], ["empty", "*.nothing"], []])
def test_nothing_to_try_at_all_is_an_error(tree: Path, named: list[str]) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(SupcamError, match="no picture in"):
        find_inputs(named)


def test_a_missing_file_alone_is_still_tried(tree: Path) -> None:
    assert find_inputs(["missing.png"]).names == ("missing.png",)


def test_an_empty_name_is_no_folder(tree: Path) -> None:
    assert find_inputs([""]).names == ("",)


def test_a_name_too_long_for_the_disk_is_tried_like_any_other(tree: Path) -> None:
    name = "a" * 5000 + ".png"
    assert find_inputs([name]).names == (name,)


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_odd_names_are_found_as_they_are(tree: Path) -> None:
    names = ['q"uote.png', "new\nline.png", " blank .png", "染色体.png", os.fsdecode(b"\xff\xfe.png")]
    for name in names:
        (tree / "odd").mkdir(exist_ok=True)
        (tree / "odd" / name).write_bytes(b"x")
    assert set(find_inputs(["odd"]).names) == {f"odd/{name}" for name in names}
