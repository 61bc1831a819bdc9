"""Paths and URLs -> the pictures to analyse on many machines, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from supcam.core.types import SupcamError
from supcam.data.files import PICTURE_SUFFIXES, Unreadable
from supcam.spread.places import Folder, Place, is_far, list_files, local_name, local_place, one_file
from supcam.workflows.inputs import find_inputs


@dataclass(frozen=True, slots=True)
class FarInputs:
    """What was named: the place of each picture by its name, and what cannot be used at all."""

    places: dict[str, Place]
    unusable: tuple[Unreadable, ...]


def find_far_inputs(named: Sequence[str], *, output: Folder) -> FarInputs:
    """The pictures behind local names, as ``find_inputs`` finds them, and behind URLs that fsspec knows.

    A URL is a file, a folder with all below, or a pattern. What lies in the ``output`` folder is none of
    them. Raises ``SupcamError`` when there is nothing to try at all or a file system does not answer.
    """
    local = tuple(local_name(name) for name in named if not is_far(name))
    unusable: list[Unreadable] = []
    places: dict[str, Place] = {}
    if local:
        found = find_inputs(local)
        unusable += found.unusable
        places |= {name: local_place(name) for name in found.names}
    for url in named:
        if is_far(url):
            places |= {place.url: place for place in _far(url, unusable=unusable)}
    places = {name: place for name, place in places.items() if not output.holds(place)}
    if not places and not local:
        raise SupcamError(
            f"no picture in {', '.join(map(repr, named))} outside the output folder",
            expected=f"pictures, or folders with files that end in {', '.join(PICTURE_SUFFIXES)}",
            remedy="check the names",
        )
    return FarInputs(places, unusable=tuple(unusable))


def failure(name: str, reason: str) -> Unreadable:
    """Why the picture ``name`` has no result; a URL is said as it is."""
    return Unreadable(Path(name), reason, url=name if is_far(name) else "")


def _far(url: str, *, unusable: list[Unreadable]) -> Iterator[Place]:
    listed = list_files(url)
    if listed is None:
        yield one_file(url)
        return
    pictures = [place for place in listed if _is_picture(place.url, root=url)]
    if not pictures:
        unusable.append(failure(url, "no picture there"))
    yield from pictures


def _is_picture(url: str, *, root: str) -> bool:
    """Whether a file has a picture's ending and is not hidden, nor in a hidden folder below ``root``."""
    path, above = _path(url), _path(root)
    below = path.relative_to(above) if path.is_relative_to(above) else PurePosixPath(path.name)
    return path.suffix.lower() in PICTURE_SUFFIXES and not any(part.startswith(".") for part in below.parts)


def _path(url: str) -> PurePosixPath:
    """The path within the file system that ``url`` names first."""
    return PurePosixPath(url.partition("::")[0].partition("://")[2].strip("/"))
