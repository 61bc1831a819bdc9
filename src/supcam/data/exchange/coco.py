"""COCO tables with masks, read without trusting them, and written; FiftyOne and CVAT read and write them too.

What COCO has no field for stands in fields of its own: ``n_chromosomes``, ``score``, ``object_id``, ``case``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from supcam.core.rle import encode_rle, runs_of
from supcam.core.types import Box, ClusterType
from supcam.data.exchange.marked import (
    COUNT,
    REJECTED,
    Marked,
    MarkedObject,
    MarkedPicture,
    MarkError,
    NotUsed,
    check_size,
    count_of,
    kind_of,
    parse_json,
    read_limited,
    whole_box,
    wrong_file,
)
from supcam.data.exchange.masks import Outlined, from_columns, from_polygons

CATEGORY_IDS = {**{kind.label: int(kind) + 1 for kind in ClusterType}, REJECTED: len(ClusterType) + 1}


class _RunLengths(BaseModel):
    size: tuple[int, int]
    counts: str | tuple[int, ...]


class _Image(BaseModel):
    id: int
    file_name: str = Field(min_length=1)
    height: int
    width: int
    case: str = ""


class _Object(BaseModel):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    segmentation: _RunLengths | tuple[tuple[float, ...], ...] | None = None
    iscrowd: int = 0
    score: float | None = None
    n_chromosomes: int | float | str | None = None
    object_id: int | str = ""
    attributes: dict[str, object] = Field({})


class _Category(BaseModel):
    id: int
    name: str


class _Table(BaseModel):
    images: tuple[_Image, ...]
    annotations: tuple[_Object, ...]
    categories: tuple[_Category, ...]


def read_coco_masks(path: Path) -> Marked:
    """The pictures of the COCO table at ``path``. Raises ``ManifestError`` for what is no such table.

    An object that cannot be used is left out with its reason: a crowd without a mask, which does not say how
    many objects it holds; a label that is none of ours; a mask that contradicts the picture's size.
    """
    value = parse_json(read_limited(path), path=path)
    try:
        table = _Table.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise wrong_file(
            f"{error.error_count()} wrong entries, the first: {place}: {first['msg']}", path=path
        ) from error
    per_image: dict[int, list[_Object]] = {image.id: [] for image in table.images}
    if len(per_image) < len(table.images):
        raise wrong_file("one id for two pictures", path=path)
    names = {category.id: category.name for category in table.categories}
    for item in table.annotations:
        if item.image_id not in per_image or item.category_id not in names:
            raise wrong_file(f"an object of picture {item.image_id}, category {item.category_id}", path=path)
        per_image[item.image_id].append(item)
    pictures, not_used = [], []
    for image in table.images:
        try:
            check_size(height=image.height, width=image.width)
        except MarkError as error:
            not_used.append(NotUsed(image.file_name, str(error)))
            continue
        objects, reasons = _read_objects(per_image[image.id], image=image, names=names)
        not_used += [NotUsed(image.file_name, reason) for reason in reasons]
        pictures.append(
            MarkedPicture(
                image.file_name,
                height=image.height,
                width=image.width,
                objects=tuple(objects),
                case=image.case,
            )
        )
    return Marked(tuple(pictures), not_used=tuple(not_used))


def _read_objects(
    items: Iterable[_Object], *, image: _Image, names: dict[int, str]
) -> tuple[list[MarkedObject], list[str]]:
    """The objects of a picture, and for those that cannot be used the reasons."""
    objects, reasons = [], []
    for index, item in enumerate(items, start=1):
        try:
            objects.append(_read_object(item, image=image, label=names[item.category_id]))
        except MarkError as error:
            reasons.append(f"object {item.object_id or index}: {error}")
    return objects, reasons


def _read_object(item: _Object, *, image: _Image, label: str) -> MarkedObject:
    kind = kind_of(label)
    said = item.n_chromosomes if item.n_chromosomes is not None else item.attributes.get(COUNT)
    outlined = _outlined(item, image=image)
    return MarkedObject(
        box=outlined.box if outlined else _box(item, image=image),
        kind=kind,
        mask=outlined.mask if outlined else None,
        n_chromosomes=count_of(said, kind=kind),
        confidence=item.score,
        name=str(item.object_id or item.attributes.get("object_id", "")),
    )


def _outlined(item: _Object, *, image: _Image) -> Outlined | None:
    drawn, size = item.segmentation, {"height": image.height, "width": image.width}
    if not drawn:
        return None
    if not isinstance(drawn, _RunLengths):
        return from_polygons(drawn, **size)
    if drawn.size != (image.height, image.width):
        raise MarkError(f"a mask of {drawn.size} on a picture of {(image.height, image.width)}")
    try:
        runs = [*runs_of(drawn.counts)] if isinstance(drawn.counts, str) else drawn.counts
    except ValueError as error:
        raise MarkError(str(error)) from error
    return from_columns(runs, **size)


def _box(item: _Object, *, image: _Image) -> Box:
    if item.iscrowd or item.bbox is None:
        raise MarkError("a crowd, or nothing, instead of a box or a mask")
    left, top, width, height = item.bbox
    return whole_box((left, top, left + width, top + height), height=image.height, width=image.width)


def write_coco(pictures: Iterable[MarkedPicture]) -> bytes:
    """The COCO table of the pictures; the category ``rejected`` is there only when an object is."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    used = set(CATEGORY_IDS) - {REJECTED}
    for image_id, picture in enumerate(pictures, start=1):
        case = {"case": picture.case} if picture.case else {}
        size = {"height": picture.height, "width": picture.width}
        images.append({"id": image_id, "file_name": picture.file_name, **size, **case})
        for item in picture.objects:
            used.add(item.kind)
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append(ids | _object(item, size=(picture.height, picture.width)))
    categories = [
        {"id": number, "name": kind, "supercategory": "chromosomes"}
        for kind, number in CATEGORY_IDS.items()
        if kind in used
    ]
    return (
        json.dumps({"images": images, "annotations": annotations, "categories": categories}) + "\n"
    ).encode()


def _object(item: MarkedObject, *, size: tuple[int, int]) -> dict[str, object]:
    box = item.box
    mask: object = [] if item.mask is None else dict(encode_rle(item.mask, box=box, shape=size))
    optional = {"score": item.confidence, COUNT: item.n_chromosomes, "object_id": item.name or None}
    return {
        "category_id": CATEGORY_IDS[item.kind],
        "segmentation": mask,
        "bbox": [box.left, box.top, box.width, box.height],
        "area": box.height * box.width if item.mask is None else int(item.mask.sum()),
        "iscrowd": 0,
        **{name: value for name, value in optional.items() if value is not None},
    }
