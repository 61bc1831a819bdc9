"""Rows of the store -> what the API shows: pictures, objects in the order of doubt, counts as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from supcam.core.types import ClusterType, Decision
from supcam.web.database import chunks
from supcam.web.schemas import (
    AnalysisView,
    BoxView,
    Counts,
    DecisionView,
    ImageView,
    JobView,
    ModelName,
    ObjectView,
    Page,
    PredictionView,
)
from supcam.web.store import NotThereError, holds, is_newest
from supcam.web.tables import AnalysisRow, Base, DecisionRow, Image, Job, ObjectRow, PredictionRow

Row = TypeVar("Row")
Kept = TypeVar("Kept", bound=Base)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list: from ``offset`` on, at most ``limit``."""

    offset: int = 0
    limit: int = 100

    def of(self, session: Session, query: Select[Row]) -> tuple[list[Row], int | None]:
        """The rows of this part, and where the next one begins."""
        rows = list(session.scalars(query.offset(self.offset).limit(self.limit + 1)))
        more = len(rows) > self.limit
        return rows[: self.limit], self.offset + self.limit if more else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects: of one picture or of all, the doubtful first or by number, all or some."""

    image_id: str | None = None
    by_doubt: bool = False
    undecided: bool = False
    to_review: bool = False


@dataclass(frozen=True, slots=True)
class WantedImages:
    """Which pictures: of one kind or case or of all; the last one first, or as they came."""

    kind: str | None = None
    case: str | None = None
    last_first: bool = False


def found(session: Session, table: type[Kept], *, key: str) -> Kept:
    """The row with that id. Raises ``NotThereError``."""
    row = session.get(table, key)
    if row is None:
        raise NotThereError(
            f"nothing with the id {key}", expected="the id of something in a list", remedy="reload"
        )
    return row


def moment(seconds: float) -> datetime:
    """A time of the store as a date."""
    return datetime.fromtimestamp(seconds, UTC)


def job_view(job: Job) -> JobView:
    """A job as the API shows it."""
    return JobView.model_validate(
        {
            "id": job.id,
            "image_id": job.image_id,
            "state": job.state,
            "attempts": job.attempts,
            "created": moment(job.created_s),
            "started": None if job.started_s is None else moment(job.started_s),
            "finished": None if job.finished_s is None else moment(job.finished_s),
            "reason": job.reason,
        }
    )


def newest_analysis(session: Session, image_id: str) -> AnalysisRow | None:
    """What was said last about a picture."""
    return _newest_analyses(session, [image_id]).get(image_id)


def _newest_analyses(session: Session, image_ids: Sequence[str]) -> dict[str, AnalysisRow]:
    """What was said last about each of many pictures; those not read yet are left out."""
    newest: dict[str, AnalysisRow] = {}
    for some in chunks(image_ids):
        query = select(AnalysisRow).where(AnalysisRow.image_id.in_(some), is_newest())
        newest |= {row.image_id: row for row in session.scalars(query)}
    return newest


def image_view(session: Session, image: Image) -> ImageView:
    """A picture with its newest analysis, and its counts as decided so far."""
    return image_views(session, [image])[0]


def image_views(session: Session, images: Sequence[Image]) -> tuple[ImageView, ...]:
    """Pictures in their order; the database is asked as often for many of them as for one."""
    newest = _newest_analyses(session, [image.id for image in images])
    counts = _counts_of(session, [row.id for row in newest.values()])
    return tuple(_image_view(image, analysis=newest.get(image.id), counts=counts) for image in images)


def _image_view(image: Image, *, analysis: AnalysisRow | None, counts: Mapping[str, Counts]) -> ImageView:
    return ImageView.model_validate(
        {
            "id": image.id,
            "kind": image.kind,
            "case": image.case,
            "name": image.name,
            "created": moment(image.created_s),
            "purged": None if image.purged_s is None else moment(image.purged_s),
            "analysis": None if analysis is None else _analysis_view(analysis),
            "counts": None if analysis is None else counts[analysis.id],
        }
    )


def _analysis_view(row: AnalysisRow) -> AnalysisView:
    return AnalysisView(id=row.id, model=_model_of(row), created=moment(row.created_s), facts=row.facts)


def _model_of(row: AnalysisRow) -> ModelName:
    return ModelName(name=row.model_name, version=row.model_version, sha256=row.model_sha256)


def _counts_of(session: Session, analysis_ids: Sequence[str]) -> dict[str, Counts]:
    """The numbers of pictures by analysis: the last decision on an object if there is one, else the model."""
    said: dict[str, list[PredictionRow]] = {key: [] for key in analysis_ids}
    for some in chunks(analysis_ids):
        for row in session.scalars(select(PredictionRow).where(PredictionRow.analysis_id.in_(some))):
            said[row.analysis_id].append(row)
    decided = last_decisions(session, [row.object_id for rows in said.values() for row in rows])
    return {key: _counts(rows, decided=decided) for key, rows in said.items()}


def _counts(predictions: Sequence[PredictionRow], *, decided: Mapping[str, DecisionRow]) -> Counts:
    by_type = dict.fromkeys([*(kind.label for kind in ClusterType), "rejected"], 0)
    n = 0
    for row in predictions:
        kind, number = standing(row, decided=decided.get(row.object_id))
        by_type[kind] += 1
        n += number
    return Counts(
        n_objects=len(predictions),
        n_decided=sum(row.object_id in decided for row in predictions),
        n_to_review=sum(
            row.decision == Decision.REVIEW and row.object_id not in decided for row in predictions
        ),
        n_chromosomes=n,
        by_type=by_type,
    )


def standing(said: PredictionRow, *, decided: DecisionRow | None) -> tuple[str, int]:
    """Type and number as they stand: the last decision where there is one, else the model's word."""
    if decided is not None and decided.type is not None:
        return decided.type, decided.n_chromosomes or 0
    return said.type, said.n_chromosomes


def last_decisions(session: Session, object_ids: Sequence[str]) -> dict[str, DecisionRow]:
    """The last decision that holds, by object; objects without one are left out."""
    last: dict[str, DecisionRow] = {}
    for some in chunks(object_ids):
        asked = DecisionRow.object_id.in_(some)
        for row in session.scalars(select(DecisionRow).where(asked, holds()).order_by(DecisionRow.id)):
            last[row.object_id] = row
    return last


def list_images(session: Session, window: Window, *, wanted: WantedImages) -> Page[ImageView]:
    """Pictures in the order in which they came, or the last one first."""
    way = [Image.created_s, Image.id]
    query = select(Image).order_by(*(column.desc() for column in way) if wanted.last_first else way)
    query = query if wanted.kind is None else query.where(Image.kind == wanted.kind)
    query = query if wanted.case is None else query.where(Image.case == wanted.case)
    rows, after = window.of(session, query)
    return Page[ImageView](items=image_views(session, rows), next=after)


def list_jobs(session: Session, window: Window, *, state: str | None) -> Page[JobView]:
    """Jobs in the order in which they came."""
    query = select(Job).order_by(Job.created_s, Job.id)
    query = query if state is None else query.where(Job.state == state)
    rows, after = window.of(session, query)
    return Page[JobView](items=tuple(job_view(row) for row in rows), next=after)


def list_objects(session: Session, window: Window, *, wanted: Wanted) -> Page[ObjectView]:
    """Objects with what was said and decided last; those of purged pictures are left out."""
    rows, after = window.of(session, _objects_query(wanted))
    return Page[ObjectView](items=object_views(session, rows), next=after)


def _objects_query(wanted: Wanted) -> Select[PredictionRow]:
    query = (
        select(PredictionRow)
        .join(AnalysisRow, AnalysisRow.id == PredictionRow.analysis_id)
        .join(Image, Image.id == AnalysisRow.image_id)
        .where(is_newest(), Image.purged_s.is_(None))
    )
    if wanted.image_id is not None:
        query = query.where(Image.id == wanted.image_id)
    if wanted.to_review:
        query = query.where(PredictionRow.decision == Decision.REVIEW.value)
    if wanted.undecided:
        query = query.where(~exists().where((DecisionRow.object_id == PredictionRow.object_id) & holds()))
    if wanted.by_doubt:
        return query.order_by(PredictionRow.doubt.desc(), PredictionRow.id)
    return query.order_by(Image.created_s, Image.id, PredictionRow.number)


def object_views(session: Session, predictions: Sequence[PredictionRow]) -> tuple[ObjectView, ...]:
    """The objects of predictions, in their order."""
    ids = [row.object_id for row in predictions]
    decided = last_decisions(session, ids)
    rows = {row.id: row for row in session.scalars(select(ObjectRow).where(ObjectRow.id.in_(ids)))}
    models = _model_names(session, predictions)
    return tuple(
        _object_view(
            rows[row.object_id],
            prediction=row,
            model=models[row.analysis_id],
            decided=decided.get(row.object_id),
        )
        for row in predictions
    )


def _model_names(session: Session, predictions: Sequence[PredictionRow]) -> dict[str, ModelName]:
    ids = {row.analysis_id for row in predictions}
    rows = session.scalars(select(AnalysisRow).where(AnalysisRow.id.in_(ids)))
    return {row.id: _model_of(row) for row in rows}


def _object_view(
    row: ObjectRow, *, prediction: PredictionRow, model: ModelName, decided: DecisionRow | None
) -> ObjectView:
    return ObjectView.model_validate(
        {
            "id": row.id,
            "image_id": row.image_id,
            "number": prediction.number,
            "box": BoxView(top=row.top, left=row.left, bottom=row.bottom, right=row.right),
            "area_px": row.area_px,
            "outline": row.outline,
            "has_crop": bool(row.crop_sha256),
            "prediction": prediction_view(prediction, model=model),
            "decided": None if decided is None else decision_view(decided, is_held=True),
        }
    )


def prediction_view(row: PredictionRow, *, model: ModelName) -> PredictionView:
    """What a model said, as the API shows it."""
    labels = [kind.label for kind in ClusterType]
    return PredictionView.model_validate(
        {
            "model": model,
            "type": row.type,
            "n_chromosomes": row.n_chromosomes,
            "decision": row.decision,
            "confidence": row.confidence,
            "chromosome_probability": row.chromosome_probability,
            "probabilities": (
                dict(zip(labels, row.probabilities, strict=True)) if row.probabilities else None
            ),
            "rejection": row.rejection,
            "doubts": row.doubts,
            "doubt": row.doubt,
        }
    )


def decision_view(row: DecisionRow, *, is_held: bool) -> DecisionView:
    """What a person said, as the API shows it."""
    return DecisionView.model_validate(
        {
            "id": row.id,
            "object_id": row.object_id,
            "reviewer": row.reviewer,
            "created": moment(row.created_s),
            "type": row.type,
            "n_chromosomes": row.n_chromosomes,
            "revokes": row.revokes_id,
            "holds": is_held,
            "model": ModelName(name="", version=row.model_version, sha256=row.model_sha256),
        }
    )


def history(session: Session, object_id: str) -> tuple[DecisionView, ...]:
    """All that was ever decided on an object, the first first."""
    found(session, ObjectRow, key=object_id)
    query = select(DecisionRow).where(DecisionRow.object_id == object_id).order_by(DecisionRow.id)
    rows = list(session.scalars(query))
    revoked = {row.revokes_id for row in rows}
    return tuple(decision_view(row, is_held=row.type is not None and row.id not in revoked) for row in rows)
