"""Routes by which people decide, and take out what was decided: history, agreement, exports, purge, audit."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from supcam.web.agreement import agreement
from supcam.web.export import coco, decisions_csv, objects_csv, write_training_set
from supcam.web.purge import purge
from supcam.web.results import decision_view, moment
from supcam.web.schemas import (
    CASE,
    AgreementView,
    AuditView,
    DecisionView,
    Id,
    NewDecision,
    Page,
    Problem,
    PurgeDone,
    PurgeOrder,
)
from supcam.web.service import Admin, Paged, Reader, Reviewer, Served, Service
from supcam.web.store import Entry, audit, decide
from supcam.web.tables import AuditRow
from supcam.web.tokens import Actor

router = APIRouter(prefix="/api/v1", tags=["decisions"])
_CHUNK = 65_536
CaseFilter = Annotated[str | None, Query(max_length=200, pattern=CASE, description="Of this case alone.")]


def _file(kind: str) -> dict[int | str, dict[str, object]]:
    schema = {"type": "string"} if kind.startswith("text") else {"type": "string", "format": "binary"}
    return {200: {"content": {kind: {"schema": schema}}}}


@router.post(
    "/objects/{object_id}/decisions",
    status_code=201,
    responses={404: {"model": Problem}, 409: {"model": Problem}},
    summary="Decide on an object",
)
def post_decision(
    *, service: Served, actor: Reviewer, object_id: Annotated[Id, Path()], new: NewDecision
) -> DecisionView:
    """The decision, appended: a type with its number, or (``revokes``) an own earlier one taken back."""
    with service.database.writing() as session:
        now = service.database.now(session)
        row = decide(session, new, object_id=object_id, reviewer=actor.name, now=now)
        return decision_view(row, is_held=row.type is not None)


@router.get("/agreement", summary="How far reviewers agree")
def get_agreement(*, service: Served, _actor: Reader) -> tuple[AgreementView, ...]:
    """Every pair of reviewers with objects in common."""
    with service.database.reading() as session:
        return agreement(session)


@router.get(
    "/export/objects.csv",
    response_class=StreamingResponse,
    responses=_file("text/csv"),
    summary="All objects as a table",
)
def get_objects_csv(*, service: Served, actor: Reader, case: CaseFilter = None) -> StreamingResponse:
    """One row an object: what the model says, and what was decided last."""
    rows = partial(objects_csv, case=case)
    return _table(service, actor, rows=rows, name="objects.csv")


@router.get(
    "/export/decisions.csv",
    response_class=StreamingResponse,
    responses=_file("text/csv"),
    summary="All decisions as a table",
)
def get_decisions_csv(*, service: Served, actor: Reader) -> StreamingResponse:
    """One row a decision, in the order in which they were made; what was taken back is there, too."""
    return _table(service, actor, rows=decisions_csv, name="decisions.csv")


@router.get("/export/coco.json", summary="Chromosomes as a COCO table")
def get_coco(*, service: Served, actor: Reader, case: CaseFilter = None) -> dict[str, object]:
    """Outlines as run lengths, with type and number as they stand."""
    _note(service, actor.name, what="coco.json")
    with service.database.reading() as session:
        return coco(session, case=case)


@router.get(
    "/export/decisions.zip",
    response_class=Response,
    responses=_file("application/zip"),
    summary="Decided objects as a training set",
)
def get_training_set(*, service: Served, actor: Reader) -> StreamingResponse:
    """``labels.csv`` and the crops of all decided objects in numbered folders, ready to train with."""
    file = tempfile.TemporaryFile(dir=service.config.data)  # noqa: SIM115  closed when it was sent
    with service.database.reading() as session:
        write_training_set(session, file, vault=service.vault)
    file.seek(0)

    def content() -> Iterator[bytes]:
        with file:
            while chunk := file.read(_CHUNK):
                yield chunk

    _note(service, actor.name, what="decisions.zip")
    return _attachment(content(), name="decisions.zip", kind="application/zip")


@router.post("/purge", summary="Remove patients' data")
def post_purge(*, service: Served, actor: Admin, order: PurgeOrder) -> PurgeDone:
    """Pictures, crops and outlines of a case, or of all that is older, are removed for good."""
    return purge(service.database, service.vault, order=order, actor=actor.name)


@router.get("/audit", summary="Who did what, when")
def get_audit(*, service: Served, _actor: Admin, window: Paged) -> Page[AuditView]:
    """The audit log, the first entry first."""
    with service.database.reading() as session:
        rows, after = window.of(session, select(AuditRow).order_by(AuditRow.id))
    views = tuple(
        AuditView(
            id=row.id,
            at=moment(row.at_s),
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            details=row.details,
        )
        for row in rows
    )
    return Page[AuditView](items=views, next=after)


def _table(
    service: Service, actor: Actor, *, rows: Callable[[Session], Iterator[str]], name: str
) -> StreamingResponse:
    """The pieces of a table, read from the store while they are sent."""

    def text() -> Iterator[str]:
        with service.database.reading() as session:
            yield from rows(session)

    _note(service, actor.name, what=name)
    return _attachment(text(), name=name, kind="text/csv; charset=utf-8")


def _note(service: Served, actor: str, *, what: str) -> None:
    with service.database.writing() as session:
        entry = Entry(actor, action="export", subject=what)
        audit(session, entry, now=service.database.now(session))


def _attachment(content: Iterator[str] | Iterator[bytes], *, name: str, kind: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=kind, headers=headers)
