"""Annotations of other programs, or the output folder of an analysis -> marked pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.image import read_grey
from supcam.core.rle import runs_of
from supcam.core.types import ClusterType
from supcam.data.exchange.coco import read_coco_masks
from supcam.data.exchange.cvat import read_cvat
from supcam.data.exchange.label_studio import read_label_studio
from supcam.data.exchange.marked import (
    REJECTED,
    Marked,
    MarkedObject,
    MarkedPicture,
    parse_json,
    read_limited,
    wrong_file,
)
from supcam.data.exchange.masks import cropped, from_columns
from supcam.spread.outputs import LABELS, RECORDS

SourceFormat = Literal["analysis", "coco", "label-studio", "cvat", "fiftyone"]
SOURCE_FORMATS: tuple[str, ...] = get_args(SourceFormat)
FIFTYONE_LABELS, FIFTYONE_PICTURES = "labels.json", "data"
_LARGEST_LABELS = ImageConfig(max_megapixels=4000)


def find_format(path: Path) -> SourceFormat:
    """What lies at ``path``, told by what it holds. Raises ``ManifestError``."""
    if (path / RECORDS).is_dir():
        return "analysis"
    if path.is_dir() and (path / FIFTYONE_LABELS).is_file():
        return "fiftyone"
    if path.is_dir() or not path.exists():
        raise wrong_file("a folder of another kind" if path.is_dir() else "nothing there", path=path)
    start = read_limited(path)[:4096].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"<"):
        return "cvat"
    return "label-studio" if start.startswith(b"[") else "coco"


def read_marked(path: Path, *, format: SourceFormat, rejected: bool) -> Marked:  # noqa: A002  its name everywhere
    """All that is marked at ``path``. Raises ``ManifestError``, and ``ImageError`` for label pictures.

    Of an analysis the objects that are no chromosome come along only if ``rejected``; of other sources they
    always do, since somebody called them so.
    """
    if format == "analysis":
        return _read_analysis(path, rejected=rejected)
    if format == "fiftyone":
        return read_coco_masks(path / FIFTYONE_LABELS if path.is_dir() else path)
    readers = {"coco": read_coco_masks, "label-studio": read_label_studio, "cvat": read_cvat}
    return readers[format](path)


def _read_analysis(folder: Path, *, rejected: bool) -> Marked:
    pictures: list[MarkedPicture] = []
    model = ""
    for place in sorted((folder / RECORDS).glob("*.json")):
        record = parse_json(read_limited(place), path=place)
        try:
            assert isinstance(record, dict)
            picture = _read_record(record)
            if rejected:
                others = tuple(_rejected(record, folder=folder))
                picture = replace(picture, objects=picture.objects + others)
            model = str(record["model"])
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise wrong_file(f"a record that does not say it all ({error})", path=place) from error
        pictures.append(picture)
    if not pictures:
        raise wrong_file("no analysed picture", path=folder)
    return Marked(tuple(pictures), model=model)


def _read_record(record: Mapping[str, Any]) -> MarkedPicture:
    image = record["image"]
    height, width = int(image["height"]), int(image["width"])
    objects = tuple(_kept(item, height=height, width=width) for item in record["coco"])
    return MarkedPicture(image["image"], height=height, width=width, objects=objects, case=record["case"])


def _kept(item: Mapping[str, Any], *, height: int, width: int) -> MarkedObject:
    outlined = from_columns([*runs_of(item["segmentation"]["counts"])], height=height, width=width)
    return MarkedObject(
        box=outlined.box,
        kind=ClusterType(item["category_id"] - 1).label,
        mask=outlined.mask,
        n_chromosomes=int(item["n_chromosomes"]),
        confidence=float(item["score"]),
        name=str(item["object_id"]),
    )


def _rejected(record: Mapping[str, Any], *, folder: Path) -> Iterator[MarkedObject]:
    """The objects that are no chromosome, by the label picture."""
    rows = [row for row in record["objects"] if row["type"] == REJECTED]
    if not rows:
        return
    labels = read_grey(folder / LABELS / f"{record['stem']}.png", config=_LARGEST_LABELS).pixels
    for row in rows:
        top, left = row["top"], row["left"]
        mask = np.asarray(labels[top : row["bottom"], left : row["right"]] == row["object_id"])
        outlined = cropped(mask, top=top, left=left)
        yield MarkedObject(outlined.box, kind=REJECTED, mask=outlined.mask, name=str(row["object_id"]))
