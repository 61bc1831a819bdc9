"""Virtual metaphases on disk: pictures, masks, boxes and tables in which everything is known."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

import supcam
from supcam.core.foreground import mask_box
from supcam.core.rle import encode_rle
from supcam.core.types import Box, ClusterType, Mask
from supcam.data.ideogram import CHROMOSOMES
from supcam.data.slide import DrawnObject, ObjectKind
from supcam.data.virtual_metaphase import Pixels, VirtualMetaphase
from supcam.workflows.composed_set import encode_png
from supcam.workflows.new_folder import NewFolder

PictureFormat = Literal["png", "tiff"]

_CHROMOSOMES, _OBJECTS = "coco.json", "objects.json"
_OBJECT_CLASSES = (*(kind.label for kind in ClusterType), ObjectKind.NUCLEUS.value, ObjectKind.DEBRIS.value)
_BOX_COLUMNS = ("top", "left", "bottom", "right", "area_px")
_OBJECT_COLUMNS = (
    "image",
    "object_id",
    *_BOX_COLUMNS,
    "type",
    "n_chromosomes",
    "chromosomes",
    "kind",
    "found",
)
_CHROMOSOME_COLUMNS = ("image", "object_id", "chromosome", *_BOX_COLUMNS)
_IMAGE_COLUMNS = (
    "image",
    "karyotype",
    "laboratory",
    "n_chromosomes",
    "n_objects",
    "width_px",
    "height",
    "width",
)


class SyntheticSet:
    """A new folder of virtual metaphases that appears whole, by ``keep``, or not at all.

    - ``images/<number>.png``: 8-bit grey; or ``.tif``, 16-bit grey.
    - ``labels/<number>.png``: 16-bit; a pixel is an ``object_id`` or 0.
    - ``annotations/<number>.xml``: Pascal VOC, one box a chromosome, named 1 ... 22, X, Y.
    - ``coco.json``: the same in COCO, with one mask a chromosome as RLE: masks of overlapping chromosomes
      share pixels. ``objects.json``: COCO of the objects, in the four types, nucleus and debris.
    - ``images.csv``, ``objects.csv``, ``chromosomes.csv``: a line each. Nuclei and debris have no type;
      ``found`` tells whether the foreground of the picture shows it as one object.
    - ``config.json``: all that decided the rest.

    Raises ``SupcamError`` when there is something at ``path``, or it cannot be written.
    """

    def __init__(self, path: Path, *, picture_format: PictureFormat = "png") -> None:
        self._folder = NewFolder(path)
        self._picture_format = picture_format
        self._images: list[tuple[object, ...]] = []
        self._objects: list[tuple[object, ...]] = []
        self._chromosomes: list[tuple[object, ...]] = []

    def __enter__(self) -> SyntheticSet:
        self._folder.__enter__()
        for name, classes in ((_CHROMOSOMES, CHROMOSOMES), (_OBJECTS, _OBJECT_CLASSES)):
            categories = [{"id": number, "name": text} for number, text in enumerate(classes, 1)]
            self._folder.append(name, f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.__exit__(kind, error, trace)

    def add(self, metaphase: VirtualMetaphase) -> None:
        """One more picture."""
        number = len(self._images)
        stem = f"{number:06d}"
        name = f"{stem}.tif" if self._picture_format == "tiff" else f"{stem}.png"
        self._folder.write(f"images/{name}", _encoded(metaphase.pixels, name=name))
        self._folder.write(f"labels/{stem}.png", encode_png(metaphase.labels))
        self._folder.write(f"annotations/{stem}.xml", _voc(metaphase, name=name))
        self._append(_CHROMOSOMES, _chromosome_annotations(metaphase), n_before=len(self._chromosomes))
        self._append(_OBJECTS, _object_annotations(metaphase), n_before=len(self._objects))
        self._objects += [(name, *row) for row in _object_rows(metaphase)]
        self._chromosomes += [(name, *row) for row in _chromosome_rows(metaphase)]
        counts = (metaphase.n_chromosomes, len(metaphase.objects), round(metaphase.width_px, 2))
        shape = metaphase.labels.shape
        self._images.append((name, metaphase.karyotype, metaphase.laboratory, *counts, *shape))

    def keep(self, about: Mapping[str, object]) -> None:
        """The folder has its name now, with the tables and ``about`` in it."""
        self._folder.write_table("images.csv", columns=_IMAGE_COLUMNS, rows=self._images)
        self._folder.write_table("objects.csv", columns=_OBJECT_COLUMNS, rows=self._objects)
        self._folder.write_table("chromosomes.csv", columns=_CHROMOSOME_COLUMNS, rows=self._chromosomes)
        images = [
            {"id": number, "file_name": f"images/{row[0]}", "height": row[-2], "width": row[-1]}
            for number, row in enumerate(self._images, 1)
        ]
        for name in (_CHROMOSOMES, _OBJECTS):
            self._folder.append(name, f'\n],\n"images": {json.dumps(images)}}}\n')
        content = {"supcam": supcam.__version__, **about}
        self._folder.write("config.json", (json.dumps(content, indent=2) + "\n").encode())
        self._folder.keep()

    def _append(self, name: str, annotations: Iterator[dict[str, object]], *, n_before: int) -> None:
        """The annotations of one picture at the end of a COCO file: however many there are, none is kept."""
        image_id = len(self._images) + 1
        lines = [
            ("," if number > 1 else "") + "\n" + json.dumps({"id": number, "image_id": image_id, **each})
            for number, each in enumerate(annotations, n_before + 1)
        ]
        self._folder.append(name, "".join(lines))


def _encoded(pixels: Pixels, *, name: str) -> bytes:
    """The bytes of a picture file."""
    if not name.endswith(".tif"):
        return encode_png(pixels)
    import tifffile  # noqa: PLC0415  takes long to load

    file = BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", compression="zlib", metadata=None)
    return file.getvalue()


def _bodies(one: DrawnObject) -> Iterator[tuple[str, Box, Mask]]:
    """Each chromosome of an object: its name, its own box in the picture, and its mask there."""
    for name, mask in zip(one.chromosomes, one.masks, strict=True):
        inner = mask_box(mask)
        yield name, inner.moved(one.box.top, one.box.left), mask[inner.slices]


def _with_chromosomes(metaphase: VirtualMetaphase) -> Iterator[tuple[int, DrawnObject]]:
    """The objects that are chromosomes, with their ``object_id``."""
    return ((k, one) for k, one in enumerate(metaphase.objects, 1) if one.kind is ObjectKind.CHROMOSOMES)


def _object_rows(metaphase: VirtualMetaphase) -> Iterator[tuple[object, ...]]:
    for k, (one, found) in enumerate(zip(metaphase.objects, metaphase.found, strict=True), 1):
        area = int(one.masks.any(axis=0).sum())
        kind = "" if one.type is None else one.type.label
        what = (kind, one.n_chromosomes, "+".join(one.chromosomes), one.kind.value, found.value)
        yield (k, *_corners(one.box), area, *what)


def _chromosome_rows(metaphase: VirtualMetaphase) -> Iterator[tuple[object, ...]]:
    for k, one in _with_chromosomes(metaphase):
        for name, box, mask in _bodies(one):
            yield (k, name, *_corners(box), int(mask.sum()))


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.top, box.left, box.bottom, box.right


def _chromosome_annotations(metaphase: VirtualMetaphase) -> Iterator[dict[str, object]]:
    shape = metaphase.labels.shape
    for k, one in _with_chromosomes(metaphase):
        for name, box, mask in _bodies(one):
            category = CHROMOSOMES.index(name) + 1
            yield {"category_id": category, "object_id": k, **_mask_fields(mask, box=box, shape=shape)}


def _object_annotations(metaphase: VirtualMetaphase) -> Iterator[dict[str, object]]:
    shape = metaphase.labels.shape
    for k, one in enumerate(metaphase.objects, 1):
        name = one.kind.value if one.type is None else one.type.label
        mask = np.asarray(one.masks.any(axis=0))
        yield {
            "category_id": _OBJECT_CLASSES.index(name) + 1,
            "object_id": k,
            "n_chromosomes": one.n_chromosomes,
            **_mask_fields(mask, box=one.box, shape=shape),
        }


def _mask_fields(mask: Mask, *, box: Box, shape: tuple[int, int]) -> dict[str, object]:
    """What COCO wants of a mask; its box is [left, top, width, height]."""
    return {
        "bbox": [box.left, box.top, box.width, box.height],
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": encode_rle(mask, box=box, shape=shape),
    }


def _voc(metaphase: VirtualMetaphase, *, name: str) -> bytes:
    """A Pascal VOC file; corners are positions between pixels, as ``read_voc`` takes them."""
    height, width = metaphase.labels.shape
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = name
    size = ET.SubElement(root, "size")
    for side, value in (("width", width), ("height", height), ("depth", 1)):
        ET.SubElement(size, side).text = str(value)
    for _, one in _with_chromosomes(metaphase):
        for chromosome, box, _ in _bodies(one):
            item = ET.SubElement(root, "object")
            ET.SubElement(item, "name").text = chromosome
            corners = ET.SubElement(item, "bndbox")
            ends = {"xmin": box.left, "ymin": box.top, "xmax": box.right, "ymax": box.bottom}
            for corner, value in ends.items():
                ET.SubElement(corners, corner).text = str(value)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode").encode() + b"\n"
