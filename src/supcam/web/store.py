"""What is written: pictures, what models say, what people decide. Added, never overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from supcam.core.types import SupcamError
from supcam.web.recording import Record, identity
from supcam.web.schemas import NewDecision, check_number, least_number
from supcam.web.tables import AnalysisRow, AuditRow, DecisionRow, Image, ObjectRow, PredictionRow

MOST_NAME = 200


class NotThereError(SupcamError):
    """Something that was asked for and is not there (any more)."""


class NotAllowedError(SupcamError):
    """Something that contradicts what is there already."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was handed in and lies in the vault; ``name`` is shown and nothing else."""

    kind: str
    sha256: str
    n_bytes: int
    case: str
    name: str

    @property
    def image_id(self) -> str:
        """The same for the same content in the same case, whatever its name."""
        return identity(self.kind, self.case, self.sha256)


def add_image(session: Session, upload: Upload, *, actor: str, now: float) -> Image:
    """The picture of an upload: the row that is there already, or a new one. A purged one comes back."""
    found = session.get(Image, upload.image_id)
    if found is not None:
        if found.purged_s is not None:
            found.purged_s, found.created_s = None, now
            found.name, found.case = shown_name(upload.name), upload.case
            audit(session, Entry(actor, action="upload again", subject=found.id), now=now)
        return found
    image = Image(
        id=upload.image_id,
        kind=upload.kind,
        sha256=upload.sha256,
        case=upload.case,
        name=shown_name(upload.name),
        n_bytes=upload.n_bytes,
        created_s=now,
        created_by=actor,
        purged_s=None,
    )
    session.add(image)
    audit(session, Entry(actor, action="upload", subject=image.id), now=now)
    session.flush()
    return image


def shown_name(name: str) -> str:
    """The last part of a file's name, on one line and short enough for a column."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign if sign.isprintable() else "?" for sign in last)[:MOST_NAME]


def add_record(session: Session, record: Record, *, now: float) -> bool:
    """Whether it was new: what a model said about a picture is stored once. Outlines known before are shared.

    A purged picture takes nothing any more.
    """
    image = session.get(Image, record.analysis.image_id)
    if image is None or image.purged_s is not None:
        return False
    known = {row.id: row for row in _rows_of(session, image_id=image.id)}
    for row in record.objects:
        _refill(known[row.id], row) if row.id in known else session.add(row)
    if session.get(AnalysisRow, record.analysis.id) is not None:
        return False
    record.analysis.created_s = now
    session.add(record.analysis)
    session.flush()
    session.add_all(record.predictions)
    return True


def _rows_of(session: Session, *, image_id: str) -> list[ObjectRow]:
    return list(session.scalars(select(ObjectRow).where(ObjectRow.image_id == image_id)))


def _refill(row: ObjectRow, new: ObjectRow) -> None:
    """An outline that was purged comes back with its picture."""
    row.outline, row.rle = new.outline, new.rle
    row.crop_sha256, row.cut_sha256 = new.crop_sha256, new.cut_sha256


# Decisions --------------------------------------------------------------------------------------------------


def decide(session: Session, new: NewDecision, *, object_id: str, reviewer: str, now: float) -> DecisionRow:
    """The decision, appended. Raises ``NotThereError`` and ``NotAllowedError``."""
    prediction = latest_prediction(session, object_id=object_id)
    row = DecisionRow(
        object_id=object_id,
        reviewer=reviewer,
        created_s=now,
        type=new.type,
        n_chromosomes=None,
        revokes_id=None,
        model_sha256=prediction.model_sha256,
        model_version=prediction.model_version,
    )
    if new.type is not None:
        row.n_chromosomes = least_number(new.type) if new.n_chromosomes is None else new.n_chromosomes
        check_number(new.type, row.n_chromosomes)
    else:
        row.revokes_id = _revocable(session, new.revokes, object_id=object_id, reviewer=reviewer).id
    session.add(row)
    session.flush()
    action = "decide" if new.type else "revoke"
    details = {"object": object_id, "type": row.type, "n": row.n_chromosomes, "revokes": row.revokes_id}
    audit(session, Entry(reviewer, action=action, subject=str(row.id), details=details), now=now)
    return row


def _revocable(session: Session, decision_id: int | None, *, object_id: str, reviewer: str) -> DecisionRow:
    row = session.get(DecisionRow, decision_id)
    if row is None or row.object_id != object_id:
        raise NotThereError(
            f"no decision {decision_id} on this object", expected="one of its decisions", remedy="reload"
        )
    taken_back = session.scalar(select(exists().where(DecisionRow.revokes_id == row.id)))
    if row.reviewer != reviewer or row.type is None or taken_back:
        raise NotAllowedError(
            f"decision {decision_id}, which cannot be taken back by you, or was already",
            expected="one of your own decisions that still holds",
            remedy="decide anew instead",
        )
    return row


def holds() -> ColumnElement[bool]:
    """Whether a row of decisions is one that was not taken back."""
    later = aliased(DecisionRow)
    return DecisionRow.type.is_not(None) & ~exists().where(later.revokes_id == DecisionRow.id)


def is_newest() -> ColumnElement[bool]:
    """Whether a row of analyses is the last one of its picture."""
    newer = aliased(AnalysisRow)
    later = (newer.created_s > AnalysisRow.created_s) | (
        (newer.created_s == AnalysisRow.created_s) & (newer.id > AnalysisRow.id)
    )
    return ~exists().where((newer.image_id == AnalysisRow.image_id) & later)


def latest_prediction(session: Session, *, object_id: str) -> PredictionRow:
    """What was said last about an object whose picture is still there. Raises ``NotThereError``."""
    query = (
        select(PredictionRow)
        .join(ObjectRow, ObjectRow.id == PredictionRow.object_id)
        .join(Image, Image.id == ObjectRow.image_id)
        .where(PredictionRow.object_id == object_id, Image.purged_s.is_(None))
        .order_by(PredictionRow.id.desc())
        .limit(1)
    )
    row = session.scalar(query)
    if row is None:
        raise NotThereError(
            f"no object {object_id}", expected="the id of an object", remedy="reload the list"
        )
    return row


# Audit ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to what; ``details`` hold no names of files or cases."""

    actor: str
    action: str
    subject: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def audit(session: Session, entry: Entry, *, now: float) -> None:
    """One more entry in the audit log."""
    details = dict(entry.details)
    row = AuditRow(at_s=now, actor=entry.actor, action=entry.action, subject=entry.subject, details=details)
    session.add(row)


def n_decisions(session: Session, *, image_ids: Sequence[str]) -> int:
    """The number of decision rows on the objects of pictures."""
    query = (
        select(func.count())
        .select_from(DecisionRow)
        .join(ObjectRow, ObjectRow.id == DecisionRow.object_id)
        .where(ObjectRow.image_id.in_(image_ids))
    )
    return int(session.scalar(query) or 0)
