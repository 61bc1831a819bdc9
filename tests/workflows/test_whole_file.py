"""Files that appear whole or not at all, on disks that fill up and folders that refuse."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from supcam.core.types import SupcamError
from supcam.workflows.whole_file import WholeFile


def fill(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, text: str) -> None:
    with WholeFile(path) as file:
        file.write(text)
        file.keep()


def test_the_file_appears_when_it_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    with WholeFile(target) as file:
        file.write("first\n")
        file.sync()
        assert not target.exists()
        file.write("second\n")
        file.keep()
        assert target.read_text() == "first\nsecond\n"
    assert names_in(tmp_path) == ["t.csv"]


def test_an_error_inside_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    target.write_text("old")

    def fail() -> None:
        with WholeFile(target) as file:
            file.write("new")
            raise KeyError("anything")

    with pytest.raises(KeyError):
        fail()
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["t.csv"]


def test_a_file_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with WholeFile(tmp_path / "t.csv") as file:
        file.write("x" * 100_000)
    assert names_in(tmp_path) == []


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "t.csv"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(SupcamError, match="No space left"):
        write(target, "new")
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["t.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("length", [1, 100_000])
def test_a_full_device_is_an_error_and_stays_a_device(length: int) -> None:
    with pytest.raises(SupcamError, match="No space left"):
        write(Path("/dev/full"), "x" * length)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe, "row\n")
    reader.join(5)
    assert read == ["row\n"]
    assert names_in(tmp_path) == ["pipe"]


@pytest.mark.parametrize("place", ["missing/t.csv", "folder", "file/t.csv", "n" * 300])
def test_a_place_that_cannot_be_written_is_an_error_at_once(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(SupcamError, match="cannot be written"):
        WholeFile(tmp_path / place)
    assert names_in(tmp_path) == ["file", "folder"]


def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(SupcamError, match="cannot be written"):
        WholeFile(tmp_path / "t.csv")


def test_a_read_only_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SupcamError, match="Read-only"):
        WholeFile(tmp_path / "t.csv")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "t.csv").write_text("old")
    (tmp_path / "t.csv").symlink_to(tmp_path / "real" / "t.csv")
    write(tmp_path / "t.csv", "new")
    assert (tmp_path / "t.csv").is_symlink()
    assert (tmp_path / "real" / "t.csv").read_text() == "new"


def test_others_may_read_the_file_as_far_as_the_mask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write(tmp_path / "t.csv", "")
    finally:
        os.umask(before)
    assert (tmp_path / "t.csv").stat().st_mode & 0o777 == 0o644


def test_the_file_is_utf_8_whatever_its_text(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "染色体 " + os.fsdecode(b"\xff"))
    assert (tmp_path / "t.csv").read_bytes() == "染色体 \\udcff".encode()
