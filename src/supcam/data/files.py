"""Folders -> picture files in a fixed order, their hashes and cases; what cannot be opened is listed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from supcam.core.types import ManifestError

PICTURE_SUFFIXES = (".bmp", ".czi", ".dcm", ".jpeg", ".jpg", ".lif", ".nd2", ".png", ".tif", ".tiff")
"""Endings, in small letters, by which a file in a folder counts as a picture."""


@dataclass(frozen=True, slots=True, order=True)
class Unreadable:
    """A file or folder that could not be used, and why. ``url`` is its name where it is on no disk."""

    path: Path
    reason: str
    url: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.url or str(self.path)

    @classmethod
    def from_error(cls, path: Path, error: Exception) -> Unreadable:
        """The same with the reason that ``error`` gives, without repeating the path."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return cls(path, reason or type(error).__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures of a folder, sorted by path, and the folders below it that could not be listed."""

    paths: tuple[Path, ...]
    unreadable: tuple[Unreadable, ...] = ()


def list_pictures(folder: Path, *, pattern: str = "*") -> Listing:
    """Pictures in ``folder`` and all folders below it, known by their ending; hidden names are passed over.

    Links to folders are not followed, so that no circle of links is walked. ``pattern`` (``*``, ``?``)
    selects by the file's name. Raises ``ManifestError`` when ``folder`` itself is no folder or cannot be
    listed.
    """
    failed: list[Unreadable] = []
    paths = sorted(_walk(folder, failed=failed), key=str)
    if not folder.is_dir() or any(item.path == folder for item in failed):
        reason = next((item.reason for item in failed), "no folder")
        raise ManifestError(
            reason, expected="a folder that can be listed", remedy="check the path", where=folder
        )
    return Listing(
        paths=tuple(path for path in paths if fnmatch(path.name, pattern)), unreadable=tuple(sorted(failed))
    )


def _walk(folder: Path, *, failed: list[Unreadable]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        failed.append(Unreadable.from_error(Path(error.filename), error))

    for place, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Path(place) / name


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read piece by piece.

    Raises ``OSError`` when the file cannot be opened and ``ValueError`` when it is empty or no regular file
    (a pipe would never end).
    """
    if not path.stat().st_size and path.is_file():
        raise ValueError("the file is empty")
    if not path.is_file():
        raise ValueError("no regular file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Cases ------------------------------------------------------------------------------------------------------

_NAMED_RULES = ("", "column", "parent", "stem", "path")


def check_case_rule(rule: str) -> None:
    """Nothing for a named case rule or a regular expression with one group; else raises ``ManifestError``."""
    if rule in _NAMED_RULES:
        return
    try:
        n_groups = re.compile(rule).groups
    except re.error as error:
        n_groups, problem = -1, f"; {error}"
    else:
        problem = f" with {n_groups} groups"
    if n_groups != 1:
        raise ManifestError(
            f"the case rule {rule!r}{problem}",
            expected="column, parent, stem, path, or a regular expression with one group",
            remedy="correct the case rule",
        )


def find_case(place: str, *, path: Path, rule: str) -> str:
    """The case of the picture at ``place`` within its root (``path`` on disk), by a checked rule.

    Raises ``ValueError`` when a regular expression finds no case there: the picture may not be used.
    """
    if rule in {"stem", "parent"}:
        return path.stem if rule == "stem" else path.absolute().parent.name
    within = str(PurePosixPath(place.replace("\\", "/")).with_suffix(""))
    if rule == "path":
        return within
    match = re.search(rule, within)
    if match is None or not match.group(1):
        raise ValueError(f"no case in the name by the case rule {rule!r}")
    return match.group(1)


# Annotated pictures -----------------------------------------------------------------------------------------


def find_named_picture(pictures: Mapping[str, Sequence[Path]], *, stem: str, file_name: str) -> Path:
    """The picture of an annotation: of the same stem (and name, when several share it), or else of its name.

    ``pictures`` maps stems to files. Raises ``ValueError`` when there is none or more than one.
    """
    same_stem = pictures.get(stem, ())
    candidates = same_stem or pictures.get(Path(file_name).stem, ())
    exact = [path for path in candidates if path.name == file_name]
    chosen = exact or (candidates if same_stem else [])
    if len(chosen) != 1:
        raise ValueError(
            f"{len(chosen)} pictures for this annotation (of stem {stem!r}, named {file_name!r})"
        )
    return chosen[0]
