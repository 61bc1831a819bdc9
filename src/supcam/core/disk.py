"""Bytes of a regular file of acceptable size, every failure in its own words; files that appear whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from supcam.core.types import ImageError


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """All bytes of the file at ``path``. Raises ``ImageError``, without naming the path.

    Pipes and devices are refused before they are opened: they may never end.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        _check_regular(status.st_mode)
        check_length(status.st_size, max_bytes=max_bytes)
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    check_length(len(data), max_bytes=max_bytes)
    return data


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ImageError("a pipe or a device", expected="a picture file", remedy="give the path of a picture")


def check_length(n_bytes: int, *, max_bytes: int) -> None:
    """Raises ``ImageError`` for a file of more than ``max_bytes``."""
    if n_bytes > max_bytes:
        raise ImageError(
            f"a file of {n_bytes} bytes or more",
            expected=f"at most {max_bytes} bytes",
            remedy="cut the picture, or raise max_bytes",
        )


def _unreadable(path: Path, error: OSError | ValueError) -> ImageError:
    number = error.errno if isinstance(error, OSError) else None
    found, remedy = f"a file that cannot be read ({error})", "check the path and the disk"
    if number == errno.ENOENT and path.is_symlink():
        found, remedy = "a broken link", "restore the file that it points to"
    elif number in (errno.ENOENT, errno.ENOTDIR):
        found, remedy = "no file", "check the path"
    elif number == errno.ELOOP:
        found, remedy = "a link that leads back to itself", "point it to a picture"
    elif number == errno.EISDIR:
        found, remedy = "a folder", "give the path of a picture"
    elif number in (errno.EACCES, errno.EPERM):
        found, remedy = "a file without permission to read it", "change its permissions"
    return ImageError(found, expected="a readable picture file", remedy=remedy)


def write_whole(path: Path, chunks: Iterable[bytes], *, durable: bool = False) -> Path:
    """``path``, now a file of these bytes: it appears whole, or what was there stays. Raises ``OSError``.

    Folders above it are made. ``durable``: it is on the disk, and would outlast a loss of power.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if durable:
            sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return path


def sync_folder(folder: Path) -> None:
    """A rename in ``folder`` reaches the disk; systems that cannot open a folder do without."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
