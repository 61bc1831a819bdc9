"""Decisions and objects as files for other programs: CSV, COCO, and crops as a training set.

The set has the layout that ``supcam.data.manifest`` reads: ``labels.csv`` beside numbered folders of crops, a
number for each type as in ChrCluster. Rejected objects have no type: they lie apart with their own table. Who
decided, when, and on which model's word stands in ``decisions.csv`` (``supcam.data.decided``).
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from supcam.core.types import ClusterType
from supcam.data.decided import DECISIONS_COLUMNS, DECISIONS_TABLE, REJECTED_TABLE, SOURCE
from supcam.data.layout import TABLE_NAME
from supcam.spread.coco import CATEGORIES
from supcam.web.results import last_decisions, moment, standing
from supcam.web.store import is_newest
from supcam.web.tables import AnalysisRow, DecisionRow, Image, ObjectRow, PredictionRow
from supcam.web.vault import Vault

OBJECT_COLUMNS = (
    "image_id", "image", "case", "object_id", "number", "top", "left", "bottom", "right", "area_px", "type",
    "confidence", *(f"p_{kind.label}" for kind in ClusterType), "n_chromosomes", "decision", "decided_type",
    "decided_n_chromosomes", "reviewer", "decided_at", "model_version", "model_sha256",
)  # fmt: skip
DECISION_COLUMNS = (
    "decision_id", "object_id", "image_id", "case", "reviewer", "at", "type", "n_chromosomes", "revokes",
    "model_version", "model_sha256",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """An object with all that is known of it."""

    image: Image
    analysis: AnalysisRow
    outline: ObjectRow
    said: PredictionRow
    decided: DecisionRow | None


def lines(session: Session, *, case: str | None = None) -> Iterator[Line]:
    """All objects of unpurged pictures, by picture and number; a picture's rows are held at a time."""
    pictures = (
        select(Image, AnalysisRow)
        .join(AnalysisRow, AnalysisRow.image_id == Image.id)
        .where(Image.purged_s.is_(None), is_newest())
        .order_by(Image.created_s, Image.id)
    )
    if case is not None:
        pictures = pictures.where(Image.case == case)
    for image, analysis in session.execute(pictures).all():
        query = (
            select(PredictionRow, ObjectRow)
            .join(ObjectRow, ObjectRow.id == PredictionRow.object_id)
            .where(PredictionRow.analysis_id == analysis.id)
            .order_by(PredictionRow.number)
        )
        rows = session.execute(query).all()
        decided = last_decisions(session, [outline.id for _, outline in rows])
        for said, outline in rows:
            yield Line(image, analysis, outline, said=said, decided=decided.get(outline.id))


def objects_csv(session: Session, *, case: str | None = None) -> Iterator[str]:
    """The text of a table with one row an object, piece by piece."""
    yield from _csv(OBJECT_COLUMNS, (_object_values(line) for line in lines(session, case=case)))


def _object_values(line: Line) -> Sequence[object]:
    said, box, last = line.said, line.outline, line.decided
    shares: Sequence[object] = said.probabilities or [""] * len(ClusterType)
    return (
        line.image.id, line.image.name, line.image.case, box.id, said.number, box.top, box.left, box.bottom,
        box.right, box.area_px, said.type, said.confidence, *shares, said.n_chromosomes, said.decision,
        last and last.type, last and last.n_chromosomes, last and last.reviewer,
        last and moment(last.created_s).isoformat(), said.model_version, said.model_sha256,
    )  # fmt: skip


def decisions_csv(session: Session) -> Iterator[str]:
    """The text of a table of all decisions ever made, those taken back and on purged pictures too."""
    query = (
        select(DecisionRow, Image.id, Image.case)
        .join(ObjectRow, ObjectRow.id == DecisionRow.object_id)
        .join(Image, Image.id == ObjectRow.image_id)
        .order_by(DecisionRow.id)
    )
    rows = (
        (
            row.id,
            row.object_id,
            image_id,
            case,
            row.reviewer,
            moment(row.created_s).isoformat(),
            row.type,
            row.n_chromosomes,
            row.revokes_id,
            row.model_version,
            row.model_sha256,
        )
        for row, image_id, case in session.execute(query)
    )
    yield from _csv(DECISION_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(value) for value in row])
        if buffer.tell() > 65_536:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell(value: object) -> object:
    """``value`` for a table; what a spreadsheet would take for a formula gets an apostrophe."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def coco(session: Session, *, case: str | None = None) -> dict[str, object]:
    """A COCO table of the objects that are chromosomes, as decided so far; masks as run lengths."""
    images: dict[str, dict[str, object]] = {}
    annotations: list[dict[str, object]] = []
    for line in lines(session, case=case):
        height, width = line.analysis.facts["height"], line.analysis.facts["width"]
        picture = images.setdefault(
            line.image.id,
            {
                "id": len(images) + 1,
                "file_name": f"{line.image.id}.png",
                "name": line.image.name,
                "height": height,
                "width": width,
            },
        )
        kind, number = standing(line.said, decided=line.decided)
        if kind == "rejected":
            continue
        box = line.outline
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": picture["id"],
                "category_id": int(ClusterType.from_label(kind)) + 1,
                "segmentation": {"size": [height, width], "counts": box.rle},
                "bbox": [box.left, box.top, box.right - box.left, box.bottom - box.top],
                "area": box.area_px,
                "iscrowd": 0,
                "n_chromosomes": number,
                "object_id": box.id,
                "decided": line.decided is not None,
            }
        )
    return {"images": [*images.values()], "annotations": annotations, "categories": CATEGORIES}


def write_training_set(session: Session, file: IO[bytes] | io.BytesIO, *, vault: Vault) -> int:
    """The number of decided objects written to ``file``, a ZIP with its tables and their crops."""
    labels: list[Sequence[object]] = []
    rejected: list[Sequence[object]] = []
    origins: list[Sequence[object]] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for line in lines(session):
            if line.decided is None or not line.outline.cut_sha256:
                continue
            kind, number = standing(line.said, decided=line.decided)
            folder = "rejected" if kind == "rejected" else str(int(ClusterType.from_label(kind)))
            place = f"{folder}/{line.image.id}_{line.said.number}.png"
            archive.writestr(place, vault.get(line.outline.cut_sha256))
            origins.append(_origin(line, place=place))
            case = line.image.case or line.image.id
            if kind == "rejected":
                rejected.append((place, case, line.decided.reviewer))
            else:
                labels.append((place, kind, number, case, SOURCE))
        table = "".join(_csv(("path", "type", "n_chromosomes", "case", "source"), labels))
        archive.writestr(TABLE_NAME, table)
        archive.writestr(REJECTED_TABLE, "".join(_csv(("path", "case", "reviewer"), rejected)))
        archive.writestr(DECISIONS_TABLE, "".join(_csv(DECISIONS_COLUMNS, origins)))
    return len(origins)


def _origin(line: Line, *, place: str) -> Sequence[object]:
    """Who decided, when, and the model whose word was looked at."""
    last = line.decided
    assert last is not None
    return (
        place, line.outline.id, line.image.case or line.image.id, last.type, last.n_chromosomes,
        last.reviewer, moment(last.created_s).isoformat(), last.model_version, last.model_sha256,
    )  # fmt: skip
