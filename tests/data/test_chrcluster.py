from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.drawn_chrcluster import CASES, N_DRAWN, draw_folder

from supcam.core.types import ClusterType, ManifestError
from supcam.data.chrcluster import (
    LIN_SIDES,
    N_PICTURES,
    SOURCE,
    check_folder,
    divide_as_published,
    divide_by_case,
)
from supcam.data.leak import find_leaks


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "ChrCluster")


def test_published_sides_are_the_published_pictures() -> None:
    assert sum(LIN_SIDES.values()) == N_PICTURES


# ---- what a folder holds


def test_folder_is_counted_hashed_and_compared_with_what_was_published(drawn: Path) -> None:
    ticks: list[int] = []
    check = check_folder(drawn, tick=lambda: ticks.append(1))
    assert check.n_by_folder == {0: 24, 1: 12, 2: 12, 3: 12}
    assert len(ticks) == N_DRAWN
    (problem,) = check.problems
    assert "found 60 pictures that can be opened, expected 6,592" in problem
    assert "0 = instance, 1 = touching" in check.notes[0]
    moved = check_folder(drawn.rename(drawn.with_name("elsewhere")))
    assert moved.pictures_sha256 == check.pictures_sha256, "wherever it lies"


def test_hash_tells_of_contents_and_folders_and_not_of_names(drawn: Path) -> None:
    before = check_folder(drawn).pictures_sha256
    picture = next((drawn / "1").iterdir())
    renamed = picture.rename(picture.with_name("another_name.png"))
    assert check_folder(drawn).pictures_sha256 == before
    renamed.rename(drawn / "2" / "another_name.png")
    assert check_folder(drawn).pictures_sha256 != before


def test_label_map_says_what_folders_are(drawn: Path) -> None:
    kinds = [ClusterType.TOUCHING, ClusterType.INSTANCE, *list(ClusterType)[2:]]
    check = check_folder(drawn, label_map=dict(enumerate(kinds)))
    assert check.manifest.label_map[0] is ClusterType.TOUCHING
    assert "0 = touching, 1 = instance" in check.notes[0]
    with pytest.raises(ManifestError, match="one type for two folders"):
        check_folder(drawn, label_map=dict.fromkeys(range(4), ClusterType.TOUCHING))


def test_damaged_and_empty_files_are_told(drawn: Path) -> None:
    first, second = sorted((drawn / "3").iterdir())[:2]
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(b"")
    check = check_folder(drawn)
    assert {item.path for item in check.unreadable} == {first, second}
    assert check.n_by_folder[3] == 12
    assert len(check.manifest.samples) == N_DRAWN - 1, "a damaged file holds its place in the split"
    told = check.problems[-1]
    assert "found 2 files that cannot be read, expected none" in told
    assert f"3/{first.name}" in told


def test_missing_class_and_pictures_of_two_types_are_told(drawn: Path) -> None:
    for picture in (drawn / "3").iterdir():
        picture.unlink()
    original = next((drawn / "1").iterdir())
    (drawn / "2" / "copy_1.png").write_bytes(original.read_bytes())
    problems = " ".join(check_folder(drawn).problems)
    assert "found 3 folders with pictures (0, 1, 2), expected 4" in problems
    assert "found 1 pictures that lie in folders of two types" in problems


@pytest.mark.parametrize("stray", ["4/a.png", "a.png", "touching/a.png"])
def test_picture_outside_the_numbered_folders_is_refused(drawn: Path, stray: str) -> None:
    (drawn / stray).parent.mkdir(exist_ok=True)
    (drawn / stray).write_bytes(b"a picture")
    with pytest.raises(ManifestError, match="label map"):
        check_folder(drawn)


def test_folder_without_a_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    with pytest.raises(ManifestError, match="no picture that can be opened"):
        check_folder(tmp_path)


# ---- divisions


def test_published_split_leaves_copies_out_of_the_earlier_side(drawn: Path) -> None:
    division = divide_as_published(check_folder(drawn))
    assert division.n_by_role == {"train": 48, "select": 6, "report": 6}
    assert division.roles is not None
    held = division.roles.cases(source=SOURCE, role="report")[0]
    taught = next(case for case in division.roles.cases(source=SOURCE, role="train") if case[0] == held[0])
    (drawn / f"{held}.png").write_bytes((drawn / f"{taught}.png").read_bytes())
    check = check_folder(drawn)
    assert any("1 pictures are exact copies" in note for note in check.notes)
    assert divide_as_published(check).n_by_role["left_out"] == 1


def test_cases_are_read_from_names_where_these_tell_them(drawn: Path) -> None:
    division = divide_by_case(check_folder(drawn), root=drawn)
    assert division.roles is not None
    assert division.n_by_role == {"train": 50 - 10, "select": 10, "report": 10}
    assert {sample.case for sample in division.manifest.samples} == {str(100 + i) for i in range(CASES)}
    assert division.rule


def test_cases_are_read_from_folders_within_a_class(drawn: Path) -> None:
    for number, picture in enumerate(sorted(drawn.rglob("*.png"))):
        place = picture.parent / picture.name.partition("_")[0] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        picture.rename(place)
    division = divide_by_case(check_folder(drawn), root=drawn)
    assert division.roles is not None
    assert {sample.case for sample in division.manifest.samples} == {str(100 + i) for i in range(CASES)}


def test_names_without_cases_allow_no_split_by_case(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "chr", cased=False)
    division = divide_by_case(check_folder(root), root=root)
    assert (division.roles, division.n_by_role) == (None, {})
    assert "do not tell which pictures are of one case" in division.why_not


def test_rule_is_taken_at_its_word(drawn: Path) -> None:
    check = check_folder(drawn)
    with pytest.raises(ManifestError, match="no case in the name by the case rule"):
        divide_by_case(check, root=drawn, rule=r"(patient[0-9]+)")
    too_few = divide_by_case(check, root=drawn, rule=r"/(1[01])")
    assert too_few.roles is None
    assert "found 2 cases by the rule" in too_few.why_not


def test_cases_that_share_a_picture_are_on_one_side(drawn: Path) -> None:
    pictures = [sorted((drawn / "1").glob(f"{100 + case}_*.png"))[0] for case in range(4)]
    for one, next_one in pairwise(pictures):
        (drawn / "1" / f"{one.stem}x.png").write_bytes(next_one.read_bytes())
    division = divide_by_case(check_folder(drawn), root=drawn)
    assert division.roles is None, "four of twelve cases are one now, and nine are too few"
    division = divide_by_case(check_folder(drawn_more(drawn)), root=drawn)
    assert division.roles is not None
    assert len({division.roles.role_of(source=SOURCE, case=str(100 + i)) for i in range(4)}) == 1
    assert find_leaks(division.manifest, roles=division.roles) == ()


def drawn_more(root: Path) -> Path:
    """The folder with two cases more."""
    for case in (200, 201):
        for folder in range(4):
            (root / str(folder) / f"{case}_1.png").write_bytes(
                next((root / str(folder)).glob("111_*.png")).read_bytes() + bytes([case - 200])
            )
    return root
