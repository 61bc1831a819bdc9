from __future__ import annotations

from pathlib import Path

import pytest

from supcam.core.types import ClusterType, ManifestError
from supcam.data.layout import find_layout, parse_label_map


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("0/a.png", "3/b.tif"), "chrcluster"),
        (("0/a.png", "c.png"), "folder"),
        (("0/a.png", "other/c.png"), "folder"),
        (("a.png",), "folder"),
        ((), "folder"),
        (("labels.csv", "0/a.png"), "csv"),
        (("a.xml", "a.png"), "voc"),
        (("annotations/a.xml", "images/a.png"), "voc"),
        (("Annotations/a.xml", "JPEGImages/a.png"), "voc"),
    ],
)
def test_a_folder_is_known_by_what_it_holds(tmp_path: Path, names: tuple[str, ...], layout: str) -> None:
    assert find_layout(make(tmp_path, *names)) == layout


def test_a_file_is_known_by_its_ending(tmp_path: Path) -> None:
    make(tmp_path, "a.CSV", "b.json", "c.png")
    assert find_layout(tmp_path / "a.CSV") == "csv"
    assert find_layout(tmp_path / "b.json") == "coco"
    with pytest.raises(ManifestError, match=r"ends in '\.png'"):
        find_layout(tmp_path / "c.png")


def test_a_label_map_is_written_as_numbers_and_types() -> None:
    assert parse_label_map(" 7 = Touching-Overlapping,0=instance") == {
        7: ClusterType.TOUCHING_OVERLAPPING,
        0: ClusterType.INSTANCE,
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is not a cluster type"),
        ("0=heap", "'heap' is not a cluster type"),
        ("a=touching", "the entry 'a=touching'"),
        ("-1=touching", "the entry '-1=touching'"),
        ("0=touching,0=instance", "the entry '0=instance'"),
    ],
)
def test_a_label_map_that_cannot_be_read_is_refused(text: str, named: str) -> None:
    with pytest.raises(ManifestError, match=named):
        parse_label_map(text)
