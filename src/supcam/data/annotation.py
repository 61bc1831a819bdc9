"""Boxes that others drew: Pascal VOC files and COCO tables, read without trusting them."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from supcam.core.safe_xml import MOST_BYTES, parse_xml
from supcam.core.types import Box, ManifestError

_LARGEST_SIDE = 1_000_000


class AnnotationError(ValueError):
    """One annotation that cannot be used; the message is the reason, for the list of unreadable files."""


@dataclass(frozen=True, slots=True)
class NamedBox:
    """One annotated object: its box within the picture, and the name that the annotator gave it."""

    box: Box
    name: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotation says: the picture's file name and its objects, or why they cannot be used."""

    file_name: str
    objects: tuple[NamedBox, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PictureSize:
    """Declared height and width in pixels, by which boxes are clipped; unknown sides are very large."""

    height: int = _LARGEST_SIDE
    width: int = _LARGEST_SIDE


def clip_box(corners: tuple[float, float, float, float], *, size: PictureSize) -> Box:
    """The half-open box around ``(left, top, right, bottom)``, clipped to the picture.

    Corners are positions between pixels: 0 is the left edge of the first column, the width the right edge
    of the last. Fractions grow the box to whole pixels. Raises ``AnnotationError`` for corners that are no
    finite numbers, are in the wrong order, or leave nothing inside the picture.
    """
    if not all(math.isfinite(corner) for corner in corners):
        raise AnnotationError(f"a box with the corners {corners}")
    left, top, right, bottom = corners
    box = Box(
        top=max(0, math.floor(top)),
        left=max(0, math.floor(left)),
        bottom=min(size.height, math.ceil(bottom)),
        right=min(size.width, math.ceil(right)),
    )
    if right <= left or bottom <= top or box.height <= 0 or box.width <= 0:
        raise AnnotationError(f"a box that holds nothing of the picture, with the corners {corners}")
    return box


# Pascal VOC -------------------------------------------------------------------------------------------------


def read_voc(path: Path) -> Annotation:
    """The objects of one Pascal VOC file. Raises ``AnnotationError`` or ``OSError`` when it cannot be used.

    VOC's own pictures count pixels from 1 and include the last one. Files drawn by today's tools, as those of
    Tseng et al. (2023), hold positions between pixels instead: 0 and the full width both occur. Boxes are
    therefore read as such corners and clipped to the declared size; the two readings differ by one pixel.
    """
    root = _parse_xml(path)
    size = _voc_size(root)
    objects = tuple(_voc_object(item, size=size) for item in root.iter("object"))
    return Annotation(file_name=_last_part(root.findtext("filename", default="")), objects=objects)


def _parse_xml(path: Path) -> ET.Element:
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    try:
        return parse_xml(text, root="annotation")
    except ValueError as error:
        raise AnnotationError(str(error)) from error


def _voc_size(root: ET.Element) -> PictureSize:
    height, width = (_number(root.findtext(f"size/{side}", default="0")) for side in ("height", "width"))
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        return PictureSize()
    return PictureSize(height=int(height), width=int(width))


def _voc_object(item: ET.Element, *, size: PictureSize) -> NamedBox:
    left, top, right, bottom = (
        _number(item.findtext(f"bndbox/{name}", default="")) for name in ("xmin", "ymin", "xmax", "ymax")
    )
    return NamedBox(
        clip_box((left, top, right, bottom), size=size), name=item.findtext("name", default="").strip()
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise AnnotationError(f"{text!r} where a number was expected") from error


def _last_part(name: str) -> str:
    return name.strip().replace("\\", "/").rpartition("/")[2]


# COCO -------------------------------------------------------------------------------------------------------


class _CocoImage(BaseModel):
    id: int
    file_name: str = Field(min_length=1)
    height: int = Field(_LARGEST_SIDE, gt=0)
    width: int = Field(_LARGEST_SIDE, gt=0)


class _CocoCategory(BaseModel):
    id: int
    name: str


class _CocoObject(BaseModel):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _CocoTable(BaseModel):
    images: tuple[_CocoImage, ...]
    annotations: tuple[_CocoObject, ...]
    categories: tuple[_CocoCategory, ...]


def read_coco(path: Path) -> tuple[Annotation, ...]:
    """Every picture of a COCO table with its objects, ordered by file name.

    Boxes are COCO's ``[left, top, width, height]`` from 0. A picture with an unusable or a crowd box
    (``iscrowd``: several objects under one box) carries the reason instead of objects. Raises
    ``ManifestError`` when the table cannot be read, is no COCO, repeats a picture, or names an unknown
    picture or category.
    """
    table = _parse_coco(path)
    names = {category.id: category.name for category in table.categories}
    per_image: dict[int, list[_CocoObject]] = {image.id: [] for image in table.images}
    _check_references(table, names=names, images=per_image, path=path)
    for item in table.annotations:
        per_image[item.image_id].append(item)
    images = sorted(table.images, key=lambda image: image.file_name)
    return tuple(_coco_annotation(image, items=per_image[image.id], names=names) for image in images)


def _parse_coco(path: Path) -> _CocoTable:
    try:
        return _CocoTable.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        found = _first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise _wrong_coco(found, path=path) from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{error.error_count()} wrong entries, the first of them {place}: {first['msg']}"


def _wrong_coco(found: str, *, path: Path) -> ManifestError:
    return ManifestError(
        found,
        expected="a COCO table with images, annotations and categories that name each other",
        remedy="correct the table, or choose another layout",
        where=path,
    )


def _check_references(
    table: _CocoTable, *, names: dict[int, str], images: dict[int, list[_CocoObject]], path: Path
) -> None:
    files = sorted(image.file_name for image in table.images)
    twice = [first for first, second in pairwise(files) if first == second]
    if twice or len(images) < len(files):
        raise _wrong_coco(
            f"the picture {twice[0]!r} twice" if twice else "one id for two pictures", path=path
        )
    for item in table.annotations:
        if item.image_id not in images or item.category_id not in names:
            raise _wrong_coco(
                f"an annotation of picture {item.image_id}, category {item.category_id}", path=path
            )


def _coco_annotation(image: _CocoImage, *, items: list[_CocoObject], names: dict[int, str]) -> Annotation:
    size = PictureSize(height=image.height, width=image.width)
    try:
        objects = tuple(_coco_object(item, size=size, name=names[item.category_id]) for item in items)
    except AnnotationError as error:
        return Annotation(image.file_name, reason=str(error))
    return Annotation(image.file_name, objects=objects)


def _coco_object(item: _CocoObject, *, size: PictureSize, name: str) -> NamedBox:
    if item.iscrowd:
        raise AnnotationError("a crowd box, which does not say how many objects it holds")
    left, top, width, height = item.bbox
    return NamedBox(clip_box((left, top, left + width, top + height), size=size), name=name)
