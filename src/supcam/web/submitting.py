"""Routes that take pictures in, and tell how far they are."""

from collections.abc import Sequence
from typing import Annotated, no_type_check

from fastapi import APIRouter, File, Form, Path, Query, UploadFile

from supcam.web.jobs import Submitted, retry, submit
from supcam.web.results import found, job_view, list_jobs
from supcam.web.schemas import CASE, Accepted, Id, JobState, JobView, Kind, Page, Problem
from supcam.web.service import Paged, Reader, Reviewer, Served, Service
from supcam.web.tables import Job
from supcam.web.tokens import Actor
from supcam.web.uploads import Incoming, take_in

router = APIRouter(prefix="/api/v1", tags=["pictures"])
Files = Annotated[list[UploadFile], File(description="One or many pictures: PNG, JPEG, BMP or TIFF.")]
Case = Annotated[
    str,
    Form(
        max_length=200,
        pattern=CASE,
        description="What the pictures belong to: lists, splits, purges.",
        examples=["K-0042"],
    ),
]
_REFUSALS: dict[int | str, dict[str, object]] = {
    408: {"model": Problem, "description": "The body took too long."},
    413: {"model": Problem, "description": "Too many bytes."},
    415: {"model": Problem, "description": "No picture that can be read."},
    429: {"model": Problem, "description": "The queue is full, or too many requests; see Retry-After."},
    507: {"model": Problem, "description": "No room on the disk."},
}


@router.post("/metaphases", status_code=202, responses=_REFUSALS, summary="Hand in whole metaphases")
@no_type_check  # what arrives is Starlette's class, which FastAPI's own derives from
def post_metaphases(*, service: Served, actor: Reviewer, files: Files, case: Case = "") -> Accepted:
    """Jobs for the pictures, one each, in their order; the same picture handed in again keeps its job.

    They are committed before this answer is given: whatever happens to the service, they will be read.
    """
    return _accept(service, files, kind="metaphase", case=case, actor=actor)


@router.post("/clusters", status_code=202, responses=_REFUSALS, summary="Hand in crops of one cluster")
@no_type_check
def post_clusters(*, service: Served, actor: Reviewer, files: Files, case: Case = "") -> Accepted:
    """The same for crops that show one cluster each."""
    return _accept(service, files, kind="cluster", case=case, actor=actor)


def _accept(service: Service, files: Sequence[Incoming], *, kind: Kind, case: str, actor: Actor) -> Accepted:
    limits, vault = service.config.limits, service.vault
    uploads = take_in(files, kind=kind, case=case.strip(), vault=vault, limits=limits)
    done: Submitted = submit(
        service.database,
        uploads,
        model_seal=service.model.card.seal,
        limit=limits.queue,
        actor=actor.name,
    )
    if not all(vault.path(each.sha256).is_file() for each in uploads):  # purged in between
        take_in(files, kind=kind, case=case.strip(), vault=vault, limits=limits)
    return Accepted(jobs=tuple(job_view(job) for job in done.jobs), n_new=done.n_new)


@router.get("/jobs", summary="Jobs in the order in which they came")
def get_jobs(
    *, service: Served, _actor: Reader, window: Paged, state: Annotated[JobState | None, Query()] = None
) -> Page[JobView]:
    """A part of the list of jobs."""
    with service.database.reading() as session:
        return list_jobs(session, window, state=state)


@router.get("/jobs/{job_id}", responses={404: {"model": Problem}}, summary="One job")
def get_job(*, service: Served, _actor: Reader, job_id: Annotated[Id, Path()]) -> JobView:
    """How far a picture is; when ``done``, its ``image_id`` leads to what was found."""
    with service.database.reading() as session:
        return job_view(found(session, Job, key=job_id))


@router.post(
    "/jobs/{job_id}/retry",
    responses={404: {"model": Problem}, 409: {"model": Problem}},
    summary="Try a failed job again",
)
def post_retry(*, service: Served, actor: Reviewer, job_id: Annotated[Id, Path()]) -> JobView:
    """The job, waiting again."""
    return job_view(retry(service.database, job_id, actor=actor.name))
