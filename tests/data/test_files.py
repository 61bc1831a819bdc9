from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supcam.core.types import ManifestError
from supcam.data.files import (
    Unreadable,
    check_case_rule,
    find_case,
    find_named_picture,
    hash_file,
    list_pictures,
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")
    return path


class TestListing:
    def test_pictures_of_all_folders_in_order(self, tmp_path: Path) -> None:
        wanted = [touch(tmp_path / name) for name in ("a.TIF", "b/c.png", "b/d e.jpeg", "ü'\".bmp")]
        for name in ("notes.txt", ".hidden.png", ".git/x.png", "png"):
            touch(tmp_path / name)
        assert list_pictures(tmp_path).paths == tuple(sorted(wanted, key=str))

    def test_a_pattern_selects_by_name(self, tmp_path: Path) -> None:
        wanted = touch(tmp_path / "x" / "a_dapi.png")
        touch(tmp_path / "x" / "a_labels.png")
        assert list_pictures(tmp_path, pattern="*_dapi.png").paths == (wanted,)

    def test_a_circle_of_links_ends(self, tmp_path: Path) -> None:
        wanted = touch(tmp_path / "a" / "b.png")
        (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
        assert list_pictures(tmp_path).paths == (wanted,)

    def test_a_broken_link_is_listed_to_fail_later(self, tmp_path: Path) -> None:
        (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
        assert list_pictures(tmp_path).paths == (tmp_path / "gone.png",)

    @pytest.mark.parametrize("name", ["none", "file.png"])
    def test_what_is_no_folder_is_refused(self, tmp_path: Path, name: str) -> None:
        touch(tmp_path / "file.png")
        with pytest.raises(ManifestError, match="expected a folder"):
            list_pictures(tmp_path / name)


class TestHash:
    def test_it_is_that_of_the_bytes(self, tmp_path: Path) -> None:
        content = os.urandom(3_000_000)
        (tmp_path / "a").write_bytes(content)
        assert hash_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()

    def test_an_empty_file_a_folder_and_a_pipe_have_none(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        os.mkfifo(tmp_path / "pipe")
        for path, reason in (
            (tmp_path / "empty", "empty"),
            (tmp_path, "regular"),
            (tmp_path / "pipe", "regular"),
        ):
            with pytest.raises(ValueError, match=reason):
                hash_file(path)

    def test_the_reason_does_not_repeat_the_path(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file") as caught:
            hash_file(tmp_path / "none")
        assert Unreadable.from_error(tmp_path, caught.value).reason == "No such file or directory"


class TestCaseRules:
    @pytest.mark.parametrize(
        ("rule", "case"),
        [
            ("path", "case1/single/7.b"),
            ("stem", "7.b"),
            ("parent", "single"),
            (r"case(\d+)/", "1"),
            (r"^([^/]+)", "case1"),
        ],
    )
    def test_each_rule(self, rule: str, case: str) -> None:
        check_case_rule(rule)
        place = "case1/single/7.b.png"
        assert find_case(place, path=Path("/root") / place, rule=rule) == case

    def test_backslashes_of_a_table_separate_too(self) -> None:
        assert find_case("case1\\7.png", path=Path("case1\\7.png"), rule="path") == "case1/7"

    @pytest.mark.parametrize("rule", [r"case\d+", r"(a)(b)", "(", "colum"])
    def test_other_rules_are_refused(self, rule: str) -> None:
        with pytest.raises(ManifestError, match="the case rule"):
            check_case_rule(rule)

    @pytest.mark.parametrize("rule", [r"patient(\d+)", r"(\d*)$"])
    def test_a_name_without_a_case_is_an_error_never_a_blank(self, rule: str) -> None:
        with pytest.raises(ValueError, match="no case"):
            find_case("a/b.png", path=Path("a/b.png"), rule=rule)

    @given(names=st.lists(st.text("ab.1", min_size=1).filter(lambda name: name.strip(".")), min_size=1))
    def test_every_picture_its_own_case_by_its_place(self, names: list[str]) -> None:
        places = {f"{name}/x.png" for name in names}
        assert len({find_case(place, path=Path(place), rule="path") for place in places}) == len(places)


class TestNamedPicture:
    def test_the_stem_goes_before_the_name(self) -> None:
        listing = {"a": [Path("a.jpg")], "b": [Path("b.jpg")]}
        assert find_named_picture(listing, stem="a", file_name="b.jpg") == Path("a.jpg")
        assert find_named_picture(listing, stem="c", file_name="b.jpg") == Path("b.jpg")

    def test_of_two_with_one_stem_the_named_one_is_taken(self) -> None:
        listing = {"a": [Path("a.jpg"), Path("a.png")]}
        assert find_named_picture(listing, stem="a", file_name="a.png") == Path("a.png")
        with pytest.raises(ValueError, match="2 pictures"):
            find_named_picture(listing, stem="a", file_name="x.png")

    def test_none_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="0 pictures"):
            find_named_picture({"b": [Path("b.jpg")]}, stem="a", file_name="b.png")
