"""A folder that appears whole or not at all, and takes the place of nothing."""

from __future__ import annotations

import csv
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from supcam.core.types import SupcamError
from supcam.workflows.whole_file import unwritable


class NewFolder:
    """Files are written beside ``path``; ``keep`` gives the folder its name, else nothing is left of it.

    Raises ``SupcamError`` when there is something at ``path``, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise SupcamError(
                "something there already",
                expected="a folder that does not exist, or is empty",
                remedy="choose another output; nothing is overwritten",
                where=path,
            )
        self._part = path.absolute().with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> NewFolder:
        try:
            self._part.mkdir(parents=True)
        except OSError as error:
            raise unplaceable(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._part, ignore_errors=True)

    def write(self, name: str, content: bytes) -> None:
        """A file ``name`` (slashes lead into folders) with that content."""
        try:
            place = self._part / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        except OSError as error:
            raise unplaceable(self.path, error) from error

    def append(self, name: str, text: str) -> None:
        """``text`` at the end of the file ``name``, which begins with it."""
        try:
            with (self._part / name).open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise unplaceable(self.path, error) from error

    def write_table(self, name: str, *, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A CSV table."""
        try:
            with (self._part / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(rows)
        except OSError as error:
            raise unplaceable(self.path, error) from error

    def keep(self) -> None:
        """The folder has its name now."""
        try:
            self._part.replace(self.path)
        except OSError as error:
            raise unplaceable(self.path, error) from error


def unplaceable(path: Path, error: OSError) -> SupcamError:
    """What to say when a folder or picture cannot be written at ``path``."""
    return unwritable(path, error, expected="a place in a folder that exists, may be written to and has room")
