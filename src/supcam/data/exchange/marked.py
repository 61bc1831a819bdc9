"""Objects marked in pictures, whoever marked them: what all formats are read into and written from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supcam.core.types import Box, ClusterType, ManifestError, Mask
from supcam.data.annotation import AnnotationError, PictureSize, clip_box

REJECTED = "rejected"
"""What an object that is no chromosome is called, as in every table."""
KINDS = (*(kind.label for kind in ClusterType), REJECTED)
"""The labels that an annotator chooses from."""
COUNT = "n_chromosomes"
"""What the number of chromosomes of an object is called, in every format."""
LONGEST_SIDE_PX = 100_000
MOST_PIXELS = 4_000_000_000
_MOST_BYTES = 1_000_000_000
_MOST_CHROMOSOMES = 9999


class MarkError(ValueError):
    """One object that cannot be used; the message is the reason, for the list of what was left out."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkedObject:
    """One object: its place, what it is said to be (one of ``KINDS``), and how many chromosomes it holds.

    ``mask`` lies within ``box``; ``None`` where only the box was drawn. ``n_chromosomes`` is ``None`` where
    nobody said it. ``confidence`` is a model's. ``name`` is the object's number where it came from.
    """

    box: Box
    kind: str
    mask: Mask | None = None
    n_chromosomes: int | None = None
    confidence: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MarkedPicture:
    """A picture of that size with its objects; the size is 0 where unknown, which it is only without objects.

    ``case`` is blank where unknown.
    """

    file_name: str
    height: int
    width: int
    objects: tuple[MarkedObject, ...] = ()
    case: str = ""


@dataclass(frozen=True, slots=True)
class NotUsed:
    """A picture, or an object of it, that could not be used, and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """All pictures of a source, in its order, and what of it could not be used.

    ``model`` names whose reading it is; blank where people drew or checked it.
    """

    pictures: tuple[MarkedPicture, ...]
    not_used: tuple[NotUsed, ...] = ()
    model: str = ""


def kind_of(label: str) -> str:
    """The one of ``KINDS`` that a label means. Raises ``MarkError`` for any other."""
    if label.strip().lower() == REJECTED:
        return REJECTED
    try:
        return ClusterType.from_label(label).label
    except ValueError:
        known = ", ".join(KINDS)
        raise MarkError(f"the label {label[:60]!r}, which is none of {known}") from None


def count_of(said: object, *, kind: str) -> int | None:
    """The number of chromosomes that goes with ``kind``: 1 for an instance whatever is said.

    ``None`` where nothing is said, for what is rejected, and for a cluster that is said to hold one: whoever
    corrects a type does not always correct the number. Raises ``MarkError`` for what is no number.
    """
    if kind == ClusterType.INSTANCE.label:
        return 1
    if kind == REJECTED or said is None or said == "":
        return None
    try:
        number = float(str(said))
    except ValueError:
        raise MarkError(f"{str(said)[:40]!r} chromosomes") from None
    if not 0 <= number <= _MOST_CHROMOSOMES or number != int(number):
        raise MarkError(f"{str(said)[:40]} chromosomes")
    return int(number) if number > 1 else None


def check_size(*, height: int, width: int) -> None:
    """Nothing for the size of a picture that can be. Raises ``MarkError``."""
    sides = 1 <= height <= LONGEST_SIDE_PX and 1 <= width <= LONGEST_SIDE_PX
    if not sides or height * width > MOST_PIXELS:
        raise MarkError(f"a picture of {width} x {height} pixels")


def read_limited(path: Path) -> bytes:
    """The bytes of an annotation file. Raises ``ManifestError`` for one that cannot be, or is too long."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise wrong_file(f"more than {_MOST_BYTES} bytes", path=path)
        return path.read_bytes()
    except OSError as error:
        raise wrong_file(error.strerror or str(error), path=path) from error


def parse_json(content: bytes, *, path: Path) -> object:
    """The value in a JSON file. Raises ``ManifestError``."""
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise wrong_file(f"no JSON: {error}", path=path) from error
    return value


def wrong_file(found: str, *, path: Path) -> ManifestError:
    """What to say of a file that is not what it should be."""
    return ManifestError(
        found,
        expected="COCO (.json), an export of Label Studio (.json), CVAT for images 1.1 (.xml), a FiftyOne "
        "dataset in COCO's layout (a folder), or an output folder of supcam analyze",
        remedy="export it again, or name the format with --from",
        where=path,
    )


def whole_box(corners: Sequence[float], *, height: int, width: int) -> Box:
    """The box around ``(left, top, right, bottom)`` within the picture. Raises ``MarkError``."""
    left, top, right, bottom = corners
    try:
        return clip_box((left, top, right, bottom), size=PictureSize(height=height, width=width))
    except AnnotationError as error:
        raise MarkError(str(error)) from error
