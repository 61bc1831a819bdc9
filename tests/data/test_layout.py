from __future__ import annotations

from pathlib import Path

import pytest

from supcam.core.types import ManifestError
from supcam.data.layout import find_layout


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
