from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from tests.drawn_spreads import write_spread

from supcam.core.types import SupcamError
from supcam.spread.places import open_folder
from supcam.workflows.far_inputs import failure, find_far_inputs


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a picture, beside pictures, a text and a hidden file in memory."""
    monkeypatch.chdir(tmp_path)
    write_spread(tmp_path / "in" / "a.png")
    system = fsspec.filesystem("memory")
    for name in ("b.tif", "sub/c.JPG", "notes.txt", ".d.png", ".hidden/e.png", "out/f.png"):
        system.pipe(f"/{tmp_path.name}/{name}", b"content")
    return tmp_path


def test_disk_and_memory_in_one_list(room: Path) -> None:
    output = open_folder(f"memory://{room.name}/out")
    found = find_far_inputs(["in", f"file://{room}/in", f"memory://{room.name}"], output=output)
    names = list(found.places)
    assert names[0] == "in/a.png"
    assert [name.rpartition(f"{room.name}/")[2] for name in names[1:]] == ["b.tif", "sub/c.JPG"]
    assert found.places["in/a.png"].url == str(room / "in" / "a.png")
    assert not found.unusable


def test_patterns_files_and_folders_without_pictures(room: Path) -> None:
    root = f"memory://{room.name}"
    output = open_folder("out")
    found = find_far_inputs([f"{root}/*.tif", f"{root}/none.png", f"{root}/.hidden/*.txt"], output=output)
    assert [name.rpartition("/")[2] for name in found.places] == ["b.tif", "none.png"]
    assert [(item.name, item.reason) for item in found.unusable] == [
        (f"{root}/.hidden/*.txt", "no picture there")
    ]


def test_nothing_to_try_is_an_error(room: Path) -> None:
    with pytest.raises(SupcamError, match="no picture in"):
        find_far_inputs([f"memory://{room.name}/*.bmp"], output=open_folder("out"))


def test_a_failure_says_a_url_as_it_is() -> None:
    assert failure("s3://bucket/a.png", "gone").name == "s3://bucket/a.png"
    assert failure("in/a.png", "gone").name == "in/a.png"
