"""A text file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import TextIO

from supcam.core.types import SupcamError

_EXPECTED = "a file in a folder that exists, may be written to and has room"


class WholeFile:
    """A file being written under a passing name beside ``path``; ``keep`` gives it its name.

    Leaving the ``with`` block without ``keep`` leaves nothing behind, and what was at ``path`` stays. A
    device or a pipe is written to directly. UTF-8 always: what cannot be said in it (a byte of a file's name
    that is no text) is written as a backslash and its code. Every method raises ``SupcamError`` when the disk
    or the folder does not let it write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = False
        try:
            self._direct = path.exists() and not path.is_file()
            self._target = path if self._direct else Path(os.path.realpath(path))
            self._part = self._target
            if not self._direct:
                name = f".{self._target.name[:60]}.{secrets.token_hex(4)}.part"
                self._part = self._target.with_name(name)
            self._stream = self._open()
        except OSError as error:
            raise unwritable(path, error) from error

    def __enter__(self) -> WholeFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            return
        try:
            self._stream.close()
        except OSError as failure:
            if error is None:
                raise unwritable(self.path, failure) from failure
        finally:
            if not self._direct:
                self._part.unlink(missing_ok=True)

    def write(self, text: str) -> int:
        """The number of characters written."""
        try:
            return self._stream.write(text)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def sync(self) -> None:
        """All that was written is on the disk now."""
        try:
            self._stream.flush()
            if not self._direct:
                os.fsync(self._stream.fileno())
        except OSError as error:
            raise unwritable(self.path, error) from error

    def keep(self) -> None:
        """The file has its name, and whatever had it before is replaced."""
        self.sync()
        try:
            self._stream.close()
            if not self._direct:
                self._part.replace(self._target)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._kept = True

    def _open(self) -> TextIO:
        if self._target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if not self._direct:
            self._part.touch(exist_ok=False)
        return self._part.open("w", encoding="utf-8", errors="backslashreplace", newline="")


def unwritable(path: Path, error: OSError, *, expected: str = _EXPECTED) -> SupcamError:
    """What to say when ``path`` cannot be written."""
    return SupcamError(
        f"that it cannot be written ({error.strerror or error})",
        expected=expected,
        remedy="choose another output",
        where=path,
    )
