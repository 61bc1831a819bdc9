"""Decisions that deserve a second look: those that the model which stood before them contradicts most.

The probabilities are of the model that had read the object when it was first decided. No decision on it
existed then, so that the model cannot have learnt from one: they are out of sample, as confident learning
asks, also when a later model, which did learn from the decision, has read the picture anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from supcam.core.types import ClusterType
from supcam.measure.label_errors import LabelErrors, find_label_errors, is_available
from supcam.web.database import chunks
from supcam.web.results import Window, last_decisions, object_views
from supcam.web.review import page
from supcam.web.schemas import ObjectView, Page, Problem, Wire
from supcam.web.service import Paged, Reader, Served
from supcam.web.store import holds
from supcam.web.tables import DecisionRow, Image, ObjectRow, PredictionRow

router = APIRouter(tags=["decisions"])
LABELS = (*(kind.label for kind in ClusterType), "rejected")
_SHOWN = 60
_MISSING: dict[int | str, dict[str, object]] = {
    501: {"model": Problem, "description": "The extra labels is missing."}
}


class SecondLookView(Wire):
    """A decided object with what speaks against the decision."""

    object: ObjectView
    decided_type: str
    suggested_type: str
    quality: float
    is_likely_wrong: bool


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Decided objects that a model was asked about, with the errors among the decisions, row by row."""

    rows: tuple[PredictionRow, ...]
    decided: tuple[str, ...]
    suggested: tuple[str, ...]
    errors: LabelErrors


def ranked(session: Session) -> Ranked:
    """All decided objects of unpurged pictures; those that no model was asked about are left out."""
    first = _first_models(session)
    ids = [*first]
    last = last_decisions(session, ids)
    said = _said(session, first=first)
    rows, labels, shares = [], [], []
    for object_id in ids:
        row, decided = said.get(object_id), last.get(object_id)
        chances = None if row is None else _chances(row)
        if row is None or chances is None or decided is None or decided.type is None:
            continue
        rows.append(row)
        labels.append(LABELS.index(decided.type))
        shares.append(chances)
    probabilities = np.array(shares, np.float64).reshape(-1, len(LABELS))
    errors = find_label_errors(np.array(labels, np.int64), probabilities)
    return Ranked(
        rows=tuple(rows),
        decided=tuple(LABELS[label] for label in labels),
        suggested=tuple(LABELS[place] for place in probabilities.argmax(axis=1)),
        errors=errors,
    )


def _first_models(session: Session) -> dict[str, str]:
    """The hash of the model whose word stood before the first decision on each object."""
    query = (
        select(DecisionRow.object_id, DecisionRow.model_sha256)
        .join(ObjectRow, ObjectRow.id == DecisionRow.object_id)
        .join(Image, Image.id == ObjectRow.image_id)
        .where(Image.purged_s.is_(None))
        .order_by(DecisionRow.id)
    )
    first: dict[str, str] = {}
    for object_id, sha256 in session.execute(query):
        first.setdefault(object_id, sha256)
    held = set(session.scalars(select(DecisionRow.object_id).where(holds())))
    return {object_id: sha256 for object_id, sha256 in first.items() if object_id in held}


def _said(session: Session, *, first: dict[str, str]) -> dict[str, PredictionRow]:
    said: dict[str, PredictionRow] = {}
    for some in chunks([*first]):
        query = select(PredictionRow).where(PredictionRow.object_id.in_(some)).order_by(PredictionRow.id)
        for row in session.scalars(query):
            if row.model_sha256 == first[row.object_id]:
                said[row.object_id] = row
    return said


def _chances(row: PredictionRow) -> list[float] | None:
    """Probabilities of the four types and of rejected, which sum to 1."""
    if row.probabilities is None:
        return None
    there = 1.0 if row.chromosome_probability is None else row.chromosome_probability
    return [*(there * share for share in row.probabilities), 1.0 - there]


def second_look(session: Session, window: Window, *, likely: bool) -> Page[SecondLookView]:
    """A part of the list, what is likely wrong first; ``likely``: that alone."""
    found = ranked(session)
    order = [int(place) for place in found.errors.order if found.errors.is_likely_wrong[place] or not likely]
    places = order[window.offset : window.offset + window.limit]
    views = object_views(session, [found.rows[place] for place in places])
    items = tuple(
        SecondLookView(
            object=view,
            decided_type=found.decided[place],
            suggested_type=found.suggested[place],
            quality=round(float(found.errors.quality[place]), 6),
            is_likely_wrong=bool(found.errors.is_likely_wrong[place]),
        )
        for place, view in zip(places, views, strict=True)
    )
    after = window.offset + window.limit
    return Page[SecondLookView](items=items, next=after if after < len(order) else None)


@router.get("/api/v1/second-look", responses=_MISSING, summary="Decisions that are likely wrong")
def get_second_look(
    *,
    service: Served,
    _actor: Reader,
    window: Paged,
    likely: bool = Query(False, description="Only what is likely wrong, not all that was decided."),
) -> Page[SecondLookView]:
    """Decided objects, those whose decision the model of that time contradicts first."""
    if not is_available():
        raise HTTPException(501, 'second looks need another package: pip install "supcam[labels]"')
    with service.database.reading() as session:
        return second_look(session, window, likely=likely)


@router.get("/second-look", response_class=HTMLResponse, include_in_schema=False)
def get_second_look_page(*, service: Served, _actor: Reader, offset: int = Query(0, ge=0, le=10**9)) -> str:
    """The same as a page, with crops."""
    window = Window(offset=offset, limit=_SHOWN)
    listed = get_second_look(service=service, _actor=_actor, window=window, likely=False)
    return page("second_look.html", path="/second-look", listed=listed, offset=offset)
