"""CVAT for images 1.1: one XML file; boxes, polygons and masks are read, masks and boxes written.

A mask's run lengths go along the rows of its own box, empty pixels first.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path

from supcam.core.safe_xml import parse_xml
from supcam.core.types import Box
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
    read_limited,
    whole_box,
    wrong_file,
)
from supcam.data.exchange.masks import Outlined, cropped, from_polygons, from_runs, to_runs

_MOST_BYTES = 500_000_000
_SHAPES = ("box", "polygon", "mask", "polyline", "points", "ellipse", "cuboid", "skeleton")
_BY_MODEL = "auto"
_ATTRIBUTES = (COUNT, "confidence", "object_id")


def read_cvat(path: Path) -> Marked:
    """The pictures of the CVAT export at ``path``. Raises ``ManifestError`` for what is none.

    Shapes that outline no area, and turned boxes, are left out with their reason.
    """
    try:
        root = parse_xml(read_limited(path), root="annotations", most_bytes=_MOST_BYTES)
    except ValueError as error:
        raise wrong_file(str(error), path=path) from error
    pictures, not_used = [], []
    for image in root.iter("image"):
        try:
            picture, reasons = _read_image(image)
        except MarkError as error:
            not_used.append(NotUsed(image.get("name", "a picture without a name"), str(error)))
            continue
        pictures.append(picture)
        not_used += [NotUsed(picture.file_name, reason) for reason in reasons]
    return Marked(tuple(pictures), not_used=tuple(not_used))


def _read_image(image: ET.Element) -> tuple[MarkedPicture, list[str]]:
    height, width = _whole(image, "height"), _whole(image, "width")
    check_size(height=height, width=width)
    if not image.get("name"):
        raise MarkError("a picture without a name")
    objects, reasons = [], []
    for number, shape in enumerate((each for each in image if each.tag in _SHAPES), start=1):
        try:
            objects.append(_read_shape(shape, height=height, width=width))
        except MarkError as error:
            reasons.append(f"object {number}: {error}")
    return MarkedPicture(image.get("name", ""), height=height, width=width, objects=tuple(objects)), reasons


def _read_shape(shape: ET.Element, *, height: int, width: int) -> MarkedObject:
    kind = kind_of(shape.get("label", ""))
    said = {each.get("name"): each.text for each in shape.iter("attribute")}
    outlined: Outlined | None = None
    if shape.tag == "polygon":
        outlined = from_polygons([_points(shape)], height=height, width=width)
    elif shape.tag == "mask":
        outlined = _read_mask(shape, height=height, width=width)
    elif shape.tag != "box" or _number(shape, "rotation", default="0"):
        raise MarkError(f"a {shape.tag} that outlines no area, or is turned")
    corners = [_number(shape, name) for name in ("xtl", "ytl", "xbr", "ybr")] if outlined is None else []
    confidence = said.get("confidence")
    return MarkedObject(
        box=outlined.box if outlined else whole_box(corners, height=height, width=width),
        kind=kind,
        mask=outlined.mask if outlined else None,
        n_chromosomes=count_of(_trimmed(said.get(COUNT)), kind=kind),
        confidence=_float(confidence) if confidence else None,
        name=_trimmed(said.get("object_id")),
    )


def _read_mask(shape: ET.Element, *, height: int, width: int) -> Outlined:
    top, left = _whole(shape, "top"), _whole(shape, "left")
    rows, columns = _whole(shape, "height"), _whole(shape, "width")
    if min(top, left) < 0 or min(rows, columns) < 1 or top + rows > height or left + columns > width:
        raise MarkError("a mask beyond its picture")
    try:
        runs = [int(part) for part in shape.get("rle", "").split(",")]
    except ValueError:
        raise MarkError("run lengths that are no numbers") from None
    within = from_runs(runs, height=rows, width=columns)
    return cropped(within.mask, top=top + within.box.top, left=left + within.box.left)


def _points(shape: ET.Element) -> list[float]:
    return [_float(part) for point in shape.get("points", "").split(";") for part in point.split(",")]


def _trimmed(text: str | None) -> str:
    return (text or "").strip()


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MarkError(f"{text[:40]!r} where a number was expected") from None


def _number(element: ET.Element, name: str, *, default: str = "") -> float:
    return _float(element.get(name, default))


def _whole(element: ET.Element, name: str) -> int:
    text = element.get(name, "")
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 12):
        raise MarkError(f"{name} is {text[:40]!r}, no whole number")
    return int(text)


# Writing ----------------------------------------------------------------------------------------------------


def write_cvat(pictures: Iterable[MarkedPicture]) -> bytes:
    """An XML file that a CVAT task with these pictures uploads as ``CVAT 1.1``."""
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    _add_meta(root)
    for index, picture in enumerate(pictures):
        size = {"width": str(picture.width), "height": str(picture.height)}
        image = ET.SubElement(root, "image", {"id": str(index), "name": picture.file_name, **size})
        for item in picture.objects:
            _add(item, image=image)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _add_meta(root: ET.Element) -> None:
    """The labels and their attributes, without which datumaro takes the file for none of CVAT's."""
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    ET.SubElement(task, "mode").text = "annotation"
    labels = ET.SubElement(task, "labels")
    for kind in KINDS:
        label = ET.SubElement(labels, "label")
        ET.SubElement(label, "name").text = kind
        attributes = ET.SubElement(label, "attributes")
        for said in _ATTRIBUTES:
            attribute = ET.SubElement(attributes, "attribute")
            text = {"name": said, "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
            for name, value in text.items():
                ET.SubElement(attribute, name).text = value


def _add(item: MarkedObject, *, image: ET.Element) -> None:
    shared = {"label": item.kind, "source": _BY_MODEL if item.confidence is not None else "manual"}
    shared |= {"occluded": "0", "z_order": "0"}
    if item.mask is None:
        shape = ET.SubElement(image, "box", shared | _corners(item.box))
    else:
        place = {"left": item.box.left, "top": item.box.top}
        place |= {"width": item.box.width, "height": item.box.height}
        runs = ", ".join(map(str, to_runs(item.mask)))
        shape = ET.SubElement(image, "mask", shared | {"rle": runs} | {k: str(v) for k, v in place.items()})
    said = {COUNT: item.n_chromosomes, "confidence": item.confidence, "object_id": item.name or None}
    for name, value in said.items():
        if value is not None:
            ET.SubElement(shape, "attribute", {"name": name}).text = str(value)


def _corners(box: Box) -> dict[str, str]:
    sides: Sequence[tuple[str, int]] = (
        ("xtl", box.left), ("ytl", box.top), ("xbr", box.right), ("ybr", box.bottom)
    )  # fmt: skip
    return {name: f"{side}.00" for name, side in sides}


def labels_json() -> bytes:
    """The labels with their attributes, to be pasted as "Raw" where a CVAT project or task is made."""
    text = {"mutable": False, "input_type": "text", "default_value": "", "values": [""]}
    attributes = [text | {"name": name} for name in _ATTRIBUTES]
    return (
        json.dumps([{"name": kind, "attributes": attributes} for kind in KINDS], indent=2) + "\n"
    ).encode()
