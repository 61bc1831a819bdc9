"""The tables of the store. Predictions, decisions and audit entries are added and never changed.

Times are seconds since 1970 (UTC). Ids are hashes of what they name, so that a picture sent twice is one row;
those of predictions, decisions and audit entries count up. Files lie in the vault under their hash. A model's
seal covers weights, calibration and preprocessing, ``model_sha256`` its weights alone.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
_Id = String(32)
_Sha = String(64)
_Counting = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up in columns called INTEGER alone."""


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(naming_convention=NAMING)


class Image(Base):
    """A picture that was handed in: a whole metaphase or a crop of one cluster.

    ``name`` is what the user called it: shown, never a path, never in a log. Once purged, name and files are
    gone and ``purged_s`` says when.
    """

    __tablename__ = "images"
    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(_Sha, index=True)
    case: Mapped[str] = mapped_column(String(200), index=True)
    name: Mapped[str] = mapped_column(String(200))
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    created_s: Mapped[float] = mapped_column(Float, index=True)
    created_by: Mapped[str] = mapped_column(String(100))
    purged_s: Mapped[float | None] = mapped_column(Float)


class Job(Base):
    """One picture to be read by one model; ``not_before_s`` and ``lease_s``: when it may be taken (again)."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state_not_before", "state", "not_before_s", "created_s"),)
    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), index=True)
    model_seal: Mapped[str] = mapped_column(_Sha)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str] = mapped_column(String(64))
    created_s: Mapped[float] = mapped_column(Float)
    not_before_s: Mapped[float] = mapped_column(Float)
    lease_s: Mapped[float] = mapped_column(Float)
    started_s: Mapped[float | None] = mapped_column(Float)
    finished_s: Mapped[float | None] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(Text)


class AnalysisRow(Base):
    """What one model said about one picture as a whole; ``facts`` is what the API shows of it."""

    __tablename__ = "analyses"
    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), index=True)
    model_seal: Mapped[str] = mapped_column(_Sha)
    model_sha256: Mapped[str] = mapped_column(_Sha)
    model_name: Mapped[str] = mapped_column(String(100))
    model_version: Mapped[str] = mapped_column(String(100))
    created_s: Mapped[float] = mapped_column(Float)
    facts: Mapped[dict[str, object]] = mapped_column(JSON)
    picture_sha256: Mapped[str] = mapped_column(_Sha)
    overlay_sha256: Mapped[str] = mapped_column(_Sha)
    seen_sha256: Mapped[str] = mapped_column(_Sha)


class ObjectRow(Base):
    """An outline in a picture: the same one, whichever model found it.

    ``outline`` holds polygons of (x, y); ``rle`` the mask in COCO's run lengths. Both are emptied by a purge.
    """

    __tablename__ = "objects"
    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), index=True)
    top: Mapped[int] = mapped_column(Integer)
    left: Mapped[int] = mapped_column(Integer)
    bottom: Mapped[int] = mapped_column(Integer)
    right: Mapped[int] = mapped_column(Integer)
    area_px: Mapped[int] = mapped_column(Integer)
    outline: Mapped[list[list[list[int]]]] = mapped_column(JSON)
    rle: Mapped[str] = mapped_column(Text)
    crop_sha256: Mapped[str] = mapped_column(_Sha)
    cut_sha256: Mapped[str] = mapped_column(_Sha)


class PredictionRow(Base):
    """What one model said about one object. ``doubt`` orders: 0 sure, 1 not at all."""

    __tablename__ = "predictions"
    __table_args__ = (Index("ix_predictions_analysis_number", "analysis_id", "number", unique=True),)
    id: Mapped[int] = mapped_column(_Counting, primary_key=True, autoincrement=True)
    analysis_id: Mapped[str] = mapped_column(ForeignKey("analyses.id"))
    object_id: Mapped[str] = mapped_column(ForeignKey("objects.id"), index=True)
    number: Mapped[int] = mapped_column(Integer)
    model_sha256: Mapped[str] = mapped_column(_Sha)
    model_version: Mapped[str] = mapped_column(String(100))
    type: Mapped[str] = mapped_column(String(32))
    n_chromosomes: Mapped[int] = mapped_column(Integer)
    decision: Mapped[str] = mapped_column(String(16))
    confidence: Mapped[float | None] = mapped_column(Float)
    chromosome_probability: Mapped[float | None] = mapped_column(Float)
    probabilities: Mapped[list[float] | None] = mapped_column(JSON)
    rejection: Mapped[str] = mapped_column(Text)
    doubts: Mapped[list[str]] = mapped_column(JSON)
    doubt: Mapped[float] = mapped_column(Float, index=True)
    seen_index: Mapped[int | None] = mapped_column(Integer)


class DecisionRow(Base):
    """What one person said about one object, or (``revokes_id``) that an earlier decision no longer holds."""

    __tablename__ = "decisions"
    id: Mapped[int] = mapped_column(_Counting, primary_key=True, autoincrement=True)
    object_id: Mapped[str] = mapped_column(ForeignKey("objects.id"), index=True)
    reviewer: Mapped[str] = mapped_column(String(100), index=True)
    created_s: Mapped[float] = mapped_column(Float)
    type: Mapped[str | None] = mapped_column(String(32))
    n_chromosomes: Mapped[int | None] = mapped_column(Integer)
    revokes_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"), unique=True)
    model_sha256: Mapped[str] = mapped_column(_Sha)
    model_version: Mapped[str] = mapped_column(String(100))


class TokenRow(Base):
    """A token that lets somebody in; only its hash is kept."""

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    secret_sha256: Mapped[str] = mapped_column(_Sha)
    created_s: Mapped[float] = mapped_column(Float)
    revoked_s: Mapped[float | None] = mapped_column(Float)


class AuditRow(Base):
    """Who did what, when, to what; without names of files."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(_Counting, primary_key=True, autoincrement=True)
    at_s: Mapped[float] = mapped_column(Float, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40), index=True)
    subject: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, object]] = mapped_column(JSON)
