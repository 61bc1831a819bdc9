"""Label Studio: tasks with a model's reading to correct, and exports of what people made of it.

Brushes (exact masks), polygons, ellipses and rectangles are read; brushes and rectangles are written. The
type is the region's label, the number of chromosomes a number of the same region.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from supcam.data.exchange.marked import (
    COUNT,
    KINDS,
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
from supcam.data.exchange.masks import Outlined, ellipse, from_brush, from_polygons, to_brush

_BRUSH, _BOXES, _POLYGON, _ELLIPSE = "brushlabels", "rectanglelabels", "polygonlabels", "ellipselabels"
_SHAPES = (_BRUSH, _BOXES, _POLYGON, _ELLIPSE)
_COLOURS = ("#3366cc", "#e69f00", "#009e73", "#cc3377", "#888888")
"""Blue, orange, green, magenta, grey: told apart by the colour-blind too."""


class _Region(BaseModel):
    id: str = ""
    type: str = ""
    from_name: str = ""
    value: dict[str, object] = Field({})
    original_width: int = 0
    original_height: int = 0
    meta: dict[str, object] = Field({})


class _Annotation(BaseModel):
    id: int | str = 0
    result: tuple[_Region, ...] = ()
    was_cancelled: bool = False
    updated_at: str = ""


class _Task(BaseModel):
    id: int | str = 0
    data: dict[str, object]
    annotations: tuple[_Annotation, ...] = ()


def read_label_studio(path: Path) -> Marked:
    """The pictures of an export in Label Studio's own JSON. Raises ``ManifestError`` for what is none.

    Of a task that several people annotated the newest annotation counts; one that nobody did is left out: a
    model's own reading is nothing to learn from. One without a region has the size 0 x 0: the export does not
    say it. A picture is named by ``picture`` of the task's data, as
    ``write_label_studio`` says it, or else by the end of its ``image``.
    """
    value = parse_json(read_limited(path), path=path)
    if not isinstance(value, list):
        raise wrong_file("no list of tasks", path=path)
    pictures, not_used = [], []
    for number, each in enumerate(value, start=1):
        where = f"task {number}"
        try:
            task = _Task.model_validate(each)
            where = _name_of(task) or where
            picture, reasons = _read_task(task)
        except (MarkError, ValidationError) as error:
            reason = str(error).splitlines()[0] if isinstance(error, ValidationError) else str(error)
            not_used.append(NotUsed(where, reason))
            continue
        pictures.append(picture)
        not_used += [NotUsed(where, reason) for reason in reasons]
    return Marked(tuple(pictures), not_used=tuple(not_used))


def _name_of(task: _Task) -> str:
    """The picture's name: what we said it was, or the last part of its address."""
    said = task.data.get("picture")
    if isinstance(said, str) and said:
        return said
    address = str(task.data.get("image", "")).partition("?d=")
    return (address[2] or address[0]).rpartition("/")[2]


def _read_task(task: _Task) -> tuple[MarkedPicture, list[str]]:
    done = [each for each in task.annotations if not each.was_cancelled]
    if not done:
        raise MarkError("nobody has annotated it")
    name = _name_of(task)
    if not name:
        raise MarkError("a task without a picture")
    newest = max(done, key=lambda each: (each.updated_at, str(each.id)))
    shapes = [region for region in newest.result if region.type in _SHAPES]
    sizes = {(region.original_height, region.original_width) for region in shapes}
    if len(sizes) > 1:
        raise MarkError("regions on pictures of different sizes")
    height, width = sizes.pop() if sizes else (0, 0)
    if shapes:
        check_size(height=height, width=width)
    numbers = {each.id: each.value.get("number") for each in newest.result if each.type == "number"}
    objects, reasons = [], []
    for index, region in enumerate(shapes, start=1):
        try:
            objects.append(_read_region(region, number=numbers.get(region.id)))
        except MarkError as error:
            reasons.append(f"object {index}: {error}")
    case = task.data.get("case")
    picture = MarkedPicture(
        name, height=height, width=width, objects=tuple(objects), case=case if isinstance(case, str) else ""
    )
    return picture, reasons


def _read_region(region: _Region, *, number: object) -> MarkedObject:
    labels = region.value.get(region.type)
    if not isinstance(labels, list) or len(labels) != 1:
        raise MarkError("a region with no label, or with several")
    kind = kind_of(str(labels[0]))
    height, width = region.original_height, region.original_width
    outlined = _outlined(region, height=height, width=width)
    box = outlined.box if outlined else whole_box(_corners(region), height=height, width=width)
    name = region.id.removeprefix("object-") if region.id.startswith("object-") else ""
    return MarkedObject(
        box=box,
        kind=kind,
        mask=outlined.mask if outlined else None,
        n_chromosomes=count_of(number, kind=kind),
        name=name,
    )


def _outlined(region: _Region, *, height: int, width: int) -> Outlined | None:
    value = region.value
    if region.type == _BRUSH:
        if value.get("format") != "rle" or not isinstance(value.get("rle"), list):
            raise MarkError("a brush that is not kept as run lengths")
        return from_brush(_list(value, "rle"), height=height, width=width)
    scale = (width / 100, height / 100)
    if region.type == _POLYGON:
        points = [_pair(point, scale=scale) for point in _list(value, "points")]
        return from_polygons([[side for point in points for side in point]], height=height, width=width)
    if _number(value, "rotation", default=0.0):
        raise MarkError("a turned region")
    if region.type == _ELLIPSE:
        centre = (_number(value, "x") * scale[0], _number(value, "y") * scale[1])
        radii = (_number(value, "radiusX") * scale[0], _number(value, "radiusY") * scale[1])
        return ellipse(centre, radii=radii, size=(height, width))
    return None


def _corners(region: _Region) -> Sequence[float]:
    """Corners of a rectangle, given in percent of the picture; rounding must not add a row or column."""
    value = region.value
    x, y = (_number(value, "x"), _number(value, "y"))
    right, bottom = x + _number(value, "width"), y + _number(value, "height")
    width, height = region.original_width / 100, region.original_height / 100
    return [round(side, 6) for side in (x * width, y * height, right * width, bottom * height)]


def _list(value: dict[str, object], name: str) -> list[object]:
    found = value.get(name)
    if not isinstance(found, list):
        raise MarkError(f"no list of {name}")
    return found


def _pair(point: object, *, scale: tuple[float, float]) -> tuple[float, float]:
    if (
        not isinstance(point, list)
        or len(point) != 2
        or not all(isinstance(side, int | float) for side in point)
    ):
        raise MarkError("a corner that is no pair of numbers")
    return float(point[0]) * scale[0], float(point[1]) * scale[1]


def _number(value: dict[str, object], name: str, *, default: float | None = None) -> float:
    found = value.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise MarkError(f"no number {name!r}")
    return float(found)


# Writing ----------------------------------------------------------------------------------------------------


def write_label_studio(pictures: Iterable[MarkedPicture], *, model: str, prefix: str) -> bytes:
    """Tasks to import, each with the objects as a prediction to start from.

    ``prefix`` before a picture's name is its address for Label Studio.
    """
    tasks = [_task(picture, model=model, prefix=prefix) for picture in pictures]
    return (json.dumps(tasks) + "\n").encode()


def _task(picture: MarkedPicture, *, model: str, prefix: str) -> dict[str, object]:
    data = {"image": f"{prefix}{picture.file_name}", "picture": picture.file_name}
    regions = [
        part
        for index, item in enumerate(picture.objects, start=1)
        for part in _regions(item, picture=picture, region_id=f"object-{item.name or index}")
    ]
    scores = [item.confidence for item in picture.objects if item.confidence is not None]
    score = {"score": round(sum(scores) / len(scores), 6)} if scores else {}
    return {
        "data": data | ({"case": picture.case} if picture.case else {}),
        "predictions": [{"model_version": model or "imported", "result": regions, **score}],
    }


def _regions(item: MarkedObject, *, picture: MarkedPicture, region_id: str) -> list[dict[str, object]]:
    shared: dict[str, object] = {
        "id": region_id,
        "to_name": "image",
        "original_width": picture.width,
        "original_height": picture.height,
        "image_rotation": 0,
    }
    size, box = (picture.height, picture.width), item.box
    percent = {
        "x": 100 * box.left / picture.width,
        "y": 100 * box.top / picture.height,
        "width": 100 * box.width / picture.width,
        "height": 100 * box.height / picture.height,
    }
    if item.mask is None:
        value: dict[str, object] = {**percent, "rotation": 0, _BOXES: [item.kind]}
        shape = {"type": _BOXES, "from_name": "box", "value": value}
    else:
        brush = to_brush(item.mask, box=box, size=size)
        shape = {
            "type": _BRUSH,
            "from_name": "type",
            "value": {"format": "rle", "rle": brush, _BRUSH: [item.kind]},
        }
    score = {} if item.confidence is None else {"score": item.confidence}
    found = [{**shared, **shape, **score}]
    if item.n_chromosomes is not None:
        number = {"type": "number", "from_name": COUNT, "value": percent | {"number": item.n_chromosomes}}
        found.append({**shared, **number})
    return found


def labelling_interface() -> bytes:
    """The labelling interface of a project that takes such tasks."""
    labels = "".join(
        f'    <Label value="{kind}" background="{colour}" hotkey="{number}"/>\n'
        for number, (kind, colour) in enumerate(zip(KINDS, _COLOURS, strict=True), start=1)
    )
    boxes = "".join(
        f'    <Label value="{kind}" background="{colour}"/>\n'
        for kind, colour in zip(KINDS, _COLOURS, strict=True)
    )
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="type" toName="image">\n{labels}  </BrushLabels>\n'
        f'  <RectangleLabels name="box" toName="image">\n{boxes}  </RectangleLabels>\n'
        f'  <Number name="{COUNT}" toName="image" perRegion="true" min="1" max="9999"/>\n</View>\n'
    ).encode()
