"""One picture analysed into a folder: labels, overlay, page, crops, and last the record that it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2

from supcam.core.disk import write_whole
from supcam.core.types import SupcamError
from supcam.data.files import hash_file
from supcam.pack.bundle import Model
from supcam.spread.analyze import analyze
from supcam.spread.coco import coco_object
from supcam.spread.crops import cut_out
from supcam.spread.label_png import label_png
from supcam.spread.objects import SpreadObject
from supcam.spread.overlay import jpeg_bytes, png_bytes
from supcam.spread.report import PageWords, page
from supcam.spread.result import Analysis

LABELS, OVERLAYS, RECORDS, REPORT, CROPS = "labels", "overlays", "records", "report", "crops"
THUMBNAILS = "thumbnails"
_FORMAT = 1
_THUMBNAIL_PX = 480


@dataclass(frozen=True, slots=True)
class Task:
    """A picture to analyse: its file, the name and case that the outputs tell, the stem of its files.

    ``settings`` stands for all that the outputs hang on besides the picture.
    """

    path: Path
    name: str
    stem: str
    case: str
    output: Path
    settings: str
    crops: bool = False
    expected: int | None = None


def process(task: Task, *, model: Model) -> Path:
    """The record of the picture, in the folder of its task; what was done before is not done again.

    Raises ``ImageError`` for a picture that cannot be read, and ``SupcamError`` when the folder cannot be
    written to.
    """
    record = task.output / RECORDS / f"{task.stem}.json"
    fingerprint = _fingerprint(task)
    if fingerprint and _is_done(task, record=record, fingerprint=fingerprint):
        return record
    done = replace(analyze(task.path, model=model), name=task.name)
    try:
        record.unlink(missing_ok=True)
        _write(done, task=task)
        values = make_record(done, case=task.case, stem=task.stem) | {"fingerprint": fingerprint}
        write_json(record, values)
    except OSError as error:
        raise SupcamError(
            f"that it cannot be written to ({error.strerror or error})",
            expected="a folder that may be written to and has room",
            remedy="choose another output",
            where=task.output,
        ) from error
    return record


def make_record(analysis: Analysis, *, case: str, stem: str) -> dict[str, object]:
    """All that tables and the list of pictures need, as JSON-able values."""
    count = analysis.count
    height, width = analysis.size
    image = {
        "image": analysis.name,
        "width": width,
        "height": height,
        "n_objects": len(analysis.kept),
        **{f"n_{label}": n for label, n in analysis.by_type.items()},
        "n_rejected": len(analysis.rejected),
        "n_chromosomes": count.n,
        "n_chromosomes_low": count.low,
        "n_chromosomes_high": count.high,
        "decision": analysis.decision.value,
    }
    return {
        "format": _FORMAT,
        "stem": stem,
        "case": case,
        "model": analysis.model,
        "image": image,
        "objects": analysis.rows(),
        "reasons": list(analysis.reasons),
        "rejections": {str(i.object_id): i.rejection.value for i in analysis.rejected if i.rejection},
        "doubts": {str(i.object_id): [d.value for d in i.doubts] for i in analysis.objects if i.doubts},
        "cluster_share": round(analysis.cluster_share, 6),
        "focus": round(analysis.quality.focus, 4),
        "contrast": round(analysis.quality.contrast, 4),
        "width_px": round(analysis.quality.width_px, 2),
        "notes": list(analysis.notes),
        "pixel_size": asdict(analysis.pixel_size) if analysis.pixel_size else None,
        "coco": [coco_object(item, size=analysis.size) for item in analysis.kept],
    }


def write_json(path: Path, values: object) -> Path:
    """``path``, now a JSON file of ``values``. Raises ``OSError``."""
    return write_whole(path, [(json.dumps(values) + "\n").encode()])


def _write(analysis: Analysis, *, task: Task) -> None:
    overlay = analysis.overlay()
    write_whole(task.output / LABELS / f"{task.stem}.png", label_png(analysis.size, rows=analysis.label_rows))
    write_whole(task.output / OVERLAYS / f"{task.stem}.png", [png_bytes(overlay)])
    side = max(overlay.shape[:2])
    shrink = min(1.0, _THUMBNAIL_PX / side)
    small = cv2.resize(overlay, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    write_whole(task.output / REPORT / THUMBNAILS / f"{task.stem}.jpg", [jpeg_bytes(small)])
    words = PageWords(expected=task.expected)
    write_whole(task.output / REPORT / f"{task.stem}.html", [page(analysis, words=words).encode()])
    if task.crops:
        for place, item in _crop_places(analysis, task=task):
            cut = cut_out(item, width_px=analysis.quality.width_px, polarity=analysis.polarity)
            write_whole(place, [png_bytes(cut)])


def _crop_places(analysis: Analysis, *, task: Task) -> Iterator[tuple[Path, SpreadObject]]:
    for item in analysis.kept:
        yield task.output / crop_place(item.type, stem=task.stem, object_id=item.object_id), item


def crop_place(kind: str, *, stem: str, object_id: int) -> str:
    """Where the crop of an object lies below the output folder."""
    return f"{CROPS}/{kind}/{stem}_{object_id}.png"


def _fingerprint(task: Task) -> str:
    """What the outputs of a task hang on; blank for a picture that cannot be opened."""
    try:
        content = hash_file(task.path)
    except (OSError, ValueError):
        return ""
    words = [content, task.settings, task.name, task.case, str(task.crops), str(task.expected)]
    return hashlib.sha256("\n".join(words).encode(errors="surrogateescape")).hexdigest()


def _is_done(task: Task, *, record: Path, fingerprint: str) -> bool:
    """Whether the record of a task and all its files are there, made of the same picture the same way."""
    try:
        values = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return False
    if not isinstance(values, dict) or values.get("fingerprint") != fingerprint:
        return False
    files = [
        task.output / LABELS / f"{task.stem}.png",
        task.output / OVERLAYS / f"{task.stem}.png",
        task.output / REPORT / f"{task.stem}.html",
        task.output / REPORT / THUMBNAILS / f"{task.stem}.jpg",
    ]
    if task.crops:
        kept = [row for row in values["objects"] if row["type"] != "rejected"]
        files += [
            task.output / crop_place(row["type"], stem=task.stem, object_id=row["object_id"]) for row in kept
        ]
    return all(file.is_file() for file in files)
