"""The queue: rows that workers claim, hold by a lease, and finish once; what was accepted stays until then.

A worker that dies or falls silent loses its lease, and the job is claimed again. Only who still holds a job
may finish it, in the transaction that stores what came of it: whatever happens, nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from supcam.core.types import SupcamError
from supcam.web.database import Database
from supcam.web.recording import Record, identity
from supcam.web.store import Entry, NotAllowedError, NotThereError, Upload, add_image, add_record, audit
from supcam.web.tables import Image, Job

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
_SECONDS_EACH = 2.0
"""A guess at the time for one picture, for telling when to come back."""


class QueueFullError(SupcamError):
    """No room for more work now; ``retry_after_s`` says when to try again."""

    def __init__(self, n_waiting: int, *, limit: int) -> None:
        self.retry_after_s = max(1, round(min(600.0, _SECONDS_EACH * n_waiting / 4)))
        super().__init__(
            f"{n_waiting} pictures waiting",
            expected=f"room among {limit}",
            remedy=f"try again in {self.retry_after_s} s",
        )


@dataclass(frozen=True, slots=True)
class Submitted:
    """The jobs of one request, in the order of its files, and how many of them are new."""

    jobs: tuple[Job, ...]
    n_new: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hands: which picture to read, and how."""

    job_id: str
    image_id: str
    sha256: str
    kind: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a claim."""

    worker: str
    model_seal: str
    lease_s: float
    max_attempts: int


def submit(
    database: Database, uploads: Sequence[Upload], *, model_seal: str, limit: int, actor: str
) -> Submitted:
    """Jobs for all uploads, committed; what was handed in before keeps its job. Raises ``QueueFullError``.

    All are taken or none is.
    """
    with database.writing() as session:
        database.alone(session)
        begun = database.now(session)
        jobs: list[Job] = []
        new: set[str] = set()
        for n, upload in enumerate(uploads):
            now = begun + n * 1e-6  # lists keep the order of the files
            was_purged = _is_purged(session, upload)
            image = add_image(session, upload, actor=actor, now=now)
            job = session.get(Job, identity(image.id, model_seal))
            if job is None:
                job = _new_job(image.id, model_seal=model_seal, now=now)
                session.add(job)
                session.flush()
                new.add(job.id)
            elif was_purged:
                _queue_again(job, now=now)
                new.add(job.id)
            jobs.append(job)
        waiting = n_waiting(session)
        if new and waiting > limit:
            raise QueueFullError(waiting - len(new), limit=limit)
        return Submitted(tuple(jobs), n_new=len(new))


def _is_purged(session: Session, upload: Upload) -> bool:
    image = session.get(Image, upload.image_id)
    return image is not None and image.purged_s is not None


def _new_job(image_id: str, *, model_seal: str, now: float) -> Job:
    return Job(
        id=identity(image_id, model_seal),
        image_id=image_id,
        model_seal=model_seal,
        state=QUEUED,
        attempts=0,
        worker="",
        created_s=now,
        not_before_s=now,
        lease_s=0.0,
        started_s=None,
        finished_s=None,
        reason="",
    )


def _queue_again(job: Job, *, now: float) -> None:
    job.state, job.attempts, job.worker, job.reason = QUEUED, 0, "", ""
    job.not_before_s, job.finished_s = now, None


def n_waiting(session: Session) -> int:
    """The number of jobs that are not at an end."""
    query = select(func.count()).select_from(Job).where(Job.state.in_((QUEUED, RUNNING)))
    return int(session.scalar(query) or 0)


def claim(database: Database, terms: Terms) -> Claim | None:
    """The oldest job that may be taken, now held by ``terms.worker``; ``None`` when there is none.

    PostgreSQL passes over rows that others are just claiming (SKIP LOCKED); SQLite lets one in at a time. A
    job that took ``max_attempts`` workers along has failed.
    """
    with database.writing() as session:
        now = database.now(session)
        free = or_(
            (Job.state == QUEUED) & (Job.not_before_s <= now), (Job.state == RUNNING) & (Job.lease_s < now)
        )
        query = (
            select(Job)
            .where(free, Job.model_seal == terms.model_seal)
            .order_by(Job.not_before_s, Job.created_s, Job.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        job = session.scalar(query)
        if job is None:
            return None
        image = session.get_one(Image, job.image_id)
        if image.purged_s is not None:
            _end(job, state=FAILED, reason="the picture was purged", now=now)
            return None
        if job.attempts >= terms.max_attempts:
            _end(job, state=FAILED, reason=f"{job.attempts} workers were lost while reading it", now=now)
            return None
        job.state, job.worker, job.attempts = RUNNING, terms.worker, job.attempts + 1
        job.started_s, job.lease_s = now, now + terms.lease_s
        return Claim(job.id, image_id=image.id, sha256=image.sha256, kind=image.kind)


def renew(database: Database, job_id: str, *, worker: str, lease_s: float) -> bool:
    """Whether ``worker`` still holds the job; its lease begins anew."""
    with database.writing() as session:
        until = database.now(session) + lease_s
        held = (Job.id == job_id) & (Job.worker == worker) & (Job.state == RUNNING)
        done = session.execute(update(Job).where(held).values(lease_s=until).returning(Job.id))
        return done.first() is not None


def finish(database: Database, job_id: str, *, worker: str, record: Record) -> bool:
    """Whether ``worker`` still held the job: then ``record`` is stored and the job done, both or neither."""
    with database.writing() as session:
        database.alone(session)
        job = _held(session, job_id, worker=worker)
        if job is None:
            return False
        now = database.now(session)
        add_record(session, record, now=now)
        _end(job, state=DONE, reason="", now=now)
        return True


def fail(database: Database, job_id: str, *, worker: str, reason: str) -> bool:
    """Whether ``worker`` still held the job: then it has failed for good."""
    with database.writing() as session:
        job = _held(session, job_id, worker=worker)
        if job is not None:
            _end(job, state=FAILED, reason=reason, now=database.now(session))
        return job is not None


def put_back(database: Database, job_id: str, *, worker: str, wait_s: float) -> bool:
    """Whether ``worker`` still held the job: then it waits again, and this attempt is not counted."""
    with database.writing() as session:
        job = _held(session, job_id, worker=worker)
        if job is not None:
            job.state, job.worker, job.attempts = QUEUED, "", max(0, job.attempts - 1)
            job.not_before_s = database.now(session) + wait_s
        return job is not None


def release(database: Database, *, worker: str, is_counted: bool) -> int:
    """The number of jobs that a dead worker held; they may be claimed at once.

    ``is_counted``: the attempt counts, as the picture may be what the worker died of.
    """
    attempts = Job.attempts if is_counted else Job.attempts - 1
    with database.writing() as session:
        held = (Job.worker == worker) & (Job.state == RUNNING)
        values = {"lease_s": 0.0, "attempts": attempts}
        done = session.execute(update(Job).where(held).values(values).returning(Job.id))
        return len(done.all())


def overdue(database: Database, *, worker: str, job_s: float) -> str | None:
    """The job that ``worker`` has been reading for longer than ``job_s``, if any."""
    with database.reading() as session:
        limit = database.now(session) - job_s
        held = (Job.worker == worker) & (Job.state == RUNNING) & (Job.started_s < limit)
        return session.scalar(select(Job.id).where(held).limit(1))


def retry(database: Database, job_id: str, *, actor: str) -> Job:
    """A failed job, waiting again. Raises ``NotThereError``, ``NotAllowedError``."""
    with database.writing() as session:
        job = session.get(Job, job_id)
        if job is None:
            raise NotThereError(
                f"no job {job_id}", expected="the id of a job", remedy="look at the list of jobs"
            )
        if job.state != FAILED or session.get_one(Image, job.image_id).purged_s is not None:
            raise NotAllowedError(
                f"a job that is {job.state}, or whose picture is gone",
                expected="a failed job",
                remedy="wait, or hand the picture in again",
            )
        now = database.now(session)
        _queue_again(job, now=now)
        audit(session, Entry(actor, action="retry", subject=job.id), now=now)
        return job


def _held(session: Session, job_id: str, *, worker: str) -> Job | None:
    query = select(Job).where(Job.id == job_id, Job.worker == worker, Job.state == RUNNING)
    return session.scalar(query.with_for_update())


def _end(job: Job, *, state: str, reason: str, now: float) -> None:
    job.state, job.reason, job.finished_s, job.lease_s = state, reason, now, 0.0
