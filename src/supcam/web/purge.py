"""Patients' data removed: pictures, crops, outlines, names. Decisions stay, with a tombstone."""

from __future__ import annotations

import time

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from supcam.web.database import Database, chunks
from supcam.web.jobs import FAILED, QUEUED, RUNNING
from supcam.web.nearest import forget
from supcam.web.schemas import PurgeDone, PurgeOrder
from supcam.web.store import Entry, audit, n_decisions
from supcam.web.tables import AnalysisRow, Image, Job, ObjectRow
from supcam.web.vault import Vault

_DAY_S = 86_400.0
_YOUNG_S = 3600.0
"""Files younger than this may belong to a request or a job that is not committed yet."""


def purge(database: Database, vault: Vault, *, order: PurgeOrder, actor: str) -> PurgeDone:
    """What was removed; rows of pictures, objects and decisions stay, without what shows a patient."""
    with database.writing() as session:
        database.alone(session)
        now = database.now(session)
        images = _images(session, order=order, now=now)
        ids = [image.id for image in images]
        named = _files_of(session, ids) | {image.sha256 for image in images}
        for image in images:
            image.purged_s, image.name, image.case = now, "", ""
            audit(session, Entry(actor, action="tombstone", subject=image.id), now=now)
        _empty(session, ids, now=now)
        kept = sum(n_decisions(session, image_ids=some) for some in chunks(ids))
        by = "case" if order.case is not None else "age"
        details = {"by": by, "n_images": len(ids), "n_decisions_kept": kept}
        audit(session, Entry(actor, action="purge", details=details), now=now)
        session.flush()
        unneeded = named - referenced(session)
    n_files = sum(vault.remove(sha256) for sha256 in sorted(unneeded))
    forget()
    return PurgeDone(n_images=len(ids), n_files=n_files, n_decisions_kept=kept)


def sweep(database: Database, vault: Vault, *, young_s: float = _YOUNG_S) -> int:
    """The number of files removed that no row names, such as those of uploads that were broken off."""
    limit = time.time() - young_s
    with database.reading() as session:
        known = referenced(session)
    removed = 0
    for sha256 in vault.all():
        if sha256 not in known and vault.path(sha256).stat().st_mtime < limit:
            removed += vault.remove(sha256)
    return removed


def referenced(session: Session) -> set[str]:
    """The hashes of all files that rows of unpurged pictures name."""
    kept = set(session.scalars(select(Image.sha256).where(Image.purged_s.is_(None))))
    analyses = (
        select(AnalysisRow.picture_sha256, AnalysisRow.overlay_sha256, AnalysisRow.seen_sha256)
        .join(Image, Image.id == AnalysisRow.image_id)
        .where(Image.purged_s.is_(None))
    )
    for row in session.execute(analyses):
        kept.update(row)
    for crops in session.execute(select(ObjectRow.crop_sha256, ObjectRow.cut_sha256)):
        kept.update(crops)
    return kept - {""}


def _images(session: Session, *, order: PurgeOrder, now: float) -> list[Image]:
    query = select(Image).where(Image.purged_s.is_(None))
    if order.case is not None:
        query = query.where(Image.case == order.case)
    else:
        query = query.where(Image.created_s <= now - (order.older_than_days or 0) * _DAY_S)
    return list(session.scalars(query))


def _files_of(session: Session, ids: list[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(ids):
        shown = select(AnalysisRow.picture_sha256, AnalysisRow.overlay_sha256, AnalysisRow.seen_sha256)
        for row in session.execute(shown.where(AnalysisRow.image_id.in_(some))):
            found.update(row)
        crops = select(ObjectRow.crop_sha256, ObjectRow.cut_sha256).where(ObjectRow.image_id.in_(some))
        for pair in session.execute(crops):
            found.update(pair)
    return found - {""}


def _empty(session: Session, ids: list[str], *, now: float) -> None:
    """Outlines and crops are forgotten, and nobody reads the pictures any more."""
    for some in chunks(ids):
        empty = {"outline": [], "rle": "", "crop_sha256": "", "cut_sha256": ""}
        session.execute(update(ObjectRow).where(ObjectRow.image_id.in_(some)).values(empty))
        waiting = Job.image_id.in_(some) & Job.state.in_((QUEUED, RUNNING))
        ended = {"state": FAILED, "reason": "the picture was purged", "finished_s": now}
        session.execute(update(Job).where(waiting).values(ended))
