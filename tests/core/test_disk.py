"""Bytes from disk: what cannot be read says why, whatever the path is called."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from supcam.core.disk import read_bytes, write_whole
from supcam.core.types import ImageError

NAMES = [
    "plain.png",
    "with blank.png",
    'it\'s "quoted".png',
    "two\nlines.png",
    "染色体 хромосома ø.png",
    "-r.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_bytes_come_back_whatever_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\0some bytes\xff")
    assert read_bytes(path, max_bytes=100) == b"\0some bytes\xff"


def test_name_that_is_no_unicode_is_readable(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin1_\xe9.png"))
    path.write_bytes(b"x")
    assert read_bytes(path, max_bytes=1) == b"x"


def test_limit_is_the_largest_accepted_length(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(10))
    assert len(read_bytes(path, max_bytes=10)) == 10
    with pytest.raises(ImageError, match="10 bytes or more; expected at most 9 bytes"):
        read_bytes(path, max_bytes=9)


def test_file_that_grows_while_it_is_read_is_still_limited() -> None:
    """/dev/null-like files tell a length of 0; what counts is what comes."""
    with mock.patch("supcam.core.disk._check_regular"), pytest.raises(ImageError, match="at most 1000 bytes"):
        read_bytes(Path("/dev/zero"), max_bytes=1000)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="found no file"):
        read_bytes(tmp_path / "nothing.png", max_bytes=9)


def test_file_used_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ImageError, match="found no file"):
        read_bytes(tmp_path / "a" / "b.png", max_bytes=9)


def test_broken_link(tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="found a broken link"):
        read_bytes(link, max_bytes=9)


def test_link_in_a_circle(tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(link)
    with pytest.raises(ImageError, match="leads back to itself"):
        read_bytes(link, max_bytes=9)


def test_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"12")
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "real.png")
    assert read_bytes(link, max_bytes=9) == b"12"


def test_folder_named_like_a_picture(tmp_path: Path) -> None:
    folder = tmp_path / "a.png"
    folder.mkdir()
    with pytest.raises(ImageError, match="found a folder"):
        read_bytes(folder, max_bytes=9)


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    refusal = PermissionError(errno.EACCES, "Permission denied")
    with (
        mock.patch.object(Path, "open", side_effect=refusal),
        pytest.raises(ImageError, match=r"without permission to read it; .*; change its permissions"),
    ):
        read_bytes(path, max_bytes=9)


def test_disk_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    with (
        mock.patch.object(Path, "open", side_effect=OSError(errno.EIO, "Input/output error")),
        pytest.raises(ImageError, match=r"cannot be read .*Input/output error"),
    ):
        read_bytes(path, max_bytes=9)


def test_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(ImageError, match="a pipe or a device"):
        read_bytes(path, max_bytes=9)


def test_path_with_a_null_sign() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_bytes(Path("a\0b.png"), max_bytes=9)


def test_path_that_is_too_long() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_bytes(Path("x" * 5000), max_bytes=9)


def test_a_file_appears_whole_with_the_folders_above_it(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a" / "b" / "c.bin", [b"one", b"two"])
    assert path.read_bytes() == b"onetwo"
    assert write_whole(path, [b"three"]).read_bytes() == b"three"


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    path = write_whole(tmp_path / "c.bin", [b"old"])
    with pytest.raises(OSError, match="No space"):
        write_whole(path, broken())
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["c.bin"]
