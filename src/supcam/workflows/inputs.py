"""Files, folders and patterns -> the pictures to read, each once, and what was named but is not there."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from supcam.core.types import ManifestError, SupcamError
from supcam.data.files import PICTURE_SUFFIXES, Unreadable, list_pictures

_PATTERN_SIGNS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was named on the command line.

    ``names`` are the pictures to try, as given or found, each file once and in the order given (a folder's
    own in the order of their names). ``unusable`` could not be opened or hold no picture. ``n_repeated``
    counts names that came up again and were left out.
    """

    names: tuple[str, ...]
    unusable: tuple[Unreadable, ...]
    n_repeated: int


def find_inputs(named: Sequence[str]) -> Inputs:
    """The pictures behind ``named`` files, folders (with all folders below) and patterns (``*``, ``**``).

    A file that is named is always tried; in folders and patterns only files with a picture's ending count and
    hidden ones do not. Raises ``SupcamError`` when there is nothing to try at all.
    """
    unusable: list[Unreadable] = []
    seen: dict[tuple[str, str], str] = {}
    n_found = 0
    for name in _expand(named, unusable=unusable):
        n_found += 1
        seen.setdefault(identity(name), name)
    if not seen and all(isinstance(item, _Nothing) for item in unusable):
        raise SupcamError(
            f"no picture in {', '.join(map(repr, named)) or 'nothing'}",
            expected=f"pictures, or folders with files that end in {', '.join(PICTURE_SUFFIXES)}",
            remedy="check the paths",
        )
    return Inputs(names=tuple(seen.values()), unusable=tuple(unusable), n_repeated=n_found - len(seen))


def identity(name: str) -> tuple[str, str]:
    """What two names of one file share: its real folder and its own name there.

    A link to a picture is a picture of its own: it has a name of its own in the tables.
    """
    path = Path(name).absolute()
    return os.path.realpath(path.parent), path.name


@dataclass(frozen=True, slots=True, order=True)
class _Nothing(Unreadable):
    """A folder or pattern without a single picture."""


def _expand(named: Iterable[str], *, unusable: list[Unreadable]) -> Iterator[str]:
    for name in named:
        if _is_folder(name):
            yield from _in_folder(name, unusable=unusable)
        elif _PATTERN_SIGNS.intersection(name) and not os.path.lexists(name):
            yield from _matching(name, unusable=unusable)
        else:
            yield name


def _is_folder(name: str) -> bool:
    """Whether a folder can be seen there; a name too long, or behind a closed door, is none."""
    try:
        return bool(name) and Path(name).is_dir()
    except OSError:
        return False


def _in_folder(name: str, *, unusable: list[Unreadable]) -> Iterator[str]:
    try:
        listing = list_pictures(Path(name))
    except ManifestError as error:
        unusable.append(Unreadable(Path(name), error.found))
        return
    unusable += listing.unreadable
    if not listing.paths and not listing.unreadable:
        unusable.append(_Nothing(Path(name), "no picture in this folder"))
    yield from map(str, listing.paths)


def _matching(pattern: str, *, unusable: list[Unreadable]) -> Iterator[str]:
    found = False
    for name in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207  patterns may be absolute
        if _is_folder(name):
            if "**" not in pattern:
                found = True
                yield from _in_folder(name, unusable=unusable)
        elif name.lower().endswith(PICTURE_SUFFIXES):
            found = True
            yield name
    if not found:
        unusable.append(_Nothing(Path(pattern), "no picture matches this pattern"))
