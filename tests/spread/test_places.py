"""Pictures and folders on a disk, in an archive and in memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

import fsspec
import pytest

from supcam.core.types import ImageError, SupcamError
from supcam.spread.places import (
    Place,
    fingerprint,
    is_far,
    list_files,
    local_copy,
    local_name,
    local_place,
    one_file,
    open_folder,
    open_url,
)

MOST = 1000


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> str:
    """A folder in this process' memory, with a picture, one in a folder below, and a text."""
    root = f"memory://{request.node.name}"
    system = fsspec.filesystem("memory")
    for name in ("a.png", "sub/b.PNG", "notes.txt"):
        system.pipe(f"/{request.node.name}/{name}", name.encode())
    return root


def bytes_at(place: Place) -> bytes:
    with local_copy(place, max_bytes=MOST) as path:
        return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "far"),
    [("a.png", False), ("file:///a.png", False), ("s3://bucket/a.png", True), ("zip://a::a.zip", True)],
)
def test_only_urls_of_other_file_systems_are_far(name: str, *, far: bool) -> None:
    assert is_far(name) is far


def test_a_url_of_the_disk_is_a_path() -> None:
    assert local_name("file:///slides/a.png") == "/slides/a.png"
    assert local_name("slides/*.png") == "slides/*.png"


def test_a_local_place_is_absolute_and_changes_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"one")
    before = local_place("a.png")
    assert before.url == str(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"other")
    assert local_place("a.png").stamp != before.stamp
    assert local_place("none.png").stamp == ""
    assert bytes_at(before) == b"other"


def test_files_in_memory_are_listed_and_travel_with_their_content(memory: str) -> None:
    places = list_files(memory)
    assert places is not None
    name = memory.removeprefix("memory://")
    assert [place.url.rpartition(f"{name}/")[2] for place in places] == ["a.png", "notes.txt", "sub/b.PNG"]
    assert [place.content for place in places] == [b"a.png", b"notes.txt", b"sub/b.PNG"]
    assert bytes_at(places[0]) == b"a.png"
    assert list_files(f"{memory}/a.png") is None
    matching = list_files(f"{memory}/*.png")
    assert matching is not None
    assert [place.url for place in matching] == [places[0].url]
    assert one_file(f"{memory}/a.png").url == places[0].url


def test_files_in_an_archive_keep_its_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "slides.zip", "w") as archive:
        archive.writestr("c1/a.png", "picture")
    places = list_files(f"zip://c1::{tmp_path / 'slides.zip'}")
    assert places is not None
    assert [place.url for place in places] == [f"zip://c1/a.png::{tmp_path / 'slides.zip'}"]
    assert bytes_at(places[0]) == b"picture"
    with pytest.raises(ImageError, match="at most 3 bytes"), local_copy(places[0], max_bytes=3):
        pass


def test_a_far_file_that_is_not_there_fails_when_it_is_read(memory: str) -> None:
    place = one_file(f"{memory}/none.png")
    assert place.stamp == ""
    with pytest.raises(ImageError, match="no file"):
        bytes_at(place)


@pytest.mark.parametrize("url", ["nothing-known://bucket/a", "sftp-like://x"])
def test_a_place_without_driver_is_told(url: str) -> None:
    with pytest.raises(SupcamError, match="install the driver"):
        open_url(url)


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_folder_keeps_what_was_written(where: str, tmp_path: Path, memory: str) -> None:
    folder = open_folder(str(tmp_path / "out") if where == "disk" else f"{memory}/out")
    assert folder.names("objects") == []
    folder.write("objects/b.parquet", b"B")
    folder.write("objects/a.parquet", b"A")
    folder.write("objects/.a.parquet", b"hidden")
    assert folder.names("objects") == ["objects/a.parquet", "objects/b.parquet"]
    assert folder.read(["objects/a.parquet", "objects/none.parquet"]) == {"objects/a.parquet": b"A"}
    folder.delete(["objects/a.parquet", "objects/none.parquet"])
    assert folder.names("objects") == ["objects/b.parquet"]


def test_results_are_no_inputs(tmp_path: Path, memory: str) -> None:
    disk, far = open_folder(str(tmp_path / "out")), open_folder(f"{memory}/out")
    assert disk.holds(Place(str(tmp_path / "out" / "labels" / "a.png")))
    assert not disk.holds(Place(str(tmp_path / "outer.png")))
    far.write("a.png", b"picture")
    assert far.holds(one_file(f"{memory}/out/a.png"))
    assert not far.holds(one_file(f"{memory}/a.png"))
    assert not far.holds(Place(str(tmp_path / "a.png")))


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    closed = open_folder(str(tmp_path / "file"))
    with pytest.raises(SupcamError, match="can go on where it stood"):
        closed.write("objects/a.parquet", b"")
    with pytest.raises(SupcamError, match="cannot be used"):
        closed.make()


def test_a_fingerprint_tells_any_change() -> None:
    assert fingerprint("a", "b") == fingerprint("a", "b")
    assert len({fingerprint("a", "b"), fingerprint("a", "c"), fingerprint("ab"), fingerprint("\udcff")}) == 4
