"""A thin client of the service: its answers come back as the same types that it sends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter

from supcam.core.types import SupcamError
from supcam.web.schemas import (
    Accepted,
    AgreementView,
    DecisionView,
    ImageView,
    JobState,
    JobView,
    Kind,
    ModelView,
    NewDecision,
    ObjectView,
    Page,
    Problem,
    PurgeDone,
    PurgeOrder,
    SeenView,
    SimilarView,
)

Answer = TypeVar("Answer", bound=BaseModel)


class ServiceError(SupcamError):
    """The service answered with a problem; ``problem`` is what it said."""

    def __init__(self, problem: Problem, *, where: str) -> None:
        self.problem = problem
        super().__init__(
            f"{problem.status} {problem.title}",
            expected="an answer",
            remedy=problem.detail or "see its log",
            where=where,
        )


class Client:
    """The service at ``url``. Every method raises ``ServiceError`` when it answers with a problem."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str = "", http: httpx2.Client | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = http or httpx2.Client(base_url=url, headers=headers, timeout=60.0)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def model(self) -> ModelView:
        """The model that reads the pictures."""
        return self._get(ModelView, "/api/v1/model")

    def submit(self, paths: Sequence[Path], *, kind: Kind = "metaphase", case: str = "") -> Accepted:
        """Jobs for pictures, in their order."""
        files = [("files", (path.name, path.read_bytes())) for path in paths]
        answer = self._http.post(f"/api/v1/{kind}s", files=files, data={"case": case})
        return Accepted.model_validate_json(_checked(answer))

    def job(self, job_id: str) -> JobView:
        """How far a picture is."""
        return self._get(JobView, f"/api/v1/jobs/{job_id}")

    def jobs(self, *, state: JobState | None = None, offset: int = 0, limit: int = 100) -> Page[JobView]:
        """A part of the list of jobs, in the order in which they came."""
        wanted = f"&state={state}" if state else ""
        return self._get(Page[JobView], f"/api/v1/jobs?offset={offset}&limit={limit}{wanted}")

    def wait(self, job_id: str, *, timeout_s: float = 600.0, every_s: float = 0.2) -> JobView:
        """The job once it is done or has failed. Raises ``SupcamError`` after ``timeout_s``."""
        until = time.monotonic() + timeout_s
        while (job := self.job(job_id)).state not in ("done", "failed"):
            if time.monotonic() > until:
                raise SupcamError(
                    f"job {job_id} {job.state} after {timeout_s:g} s",
                    expected="its end",
                    remedy="wait longer",
                )
            time.sleep(every_s)
        return job

    def image(self, image_id: str) -> ImageView:
        """A picture with its counts."""
        return self._get(ImageView, f"/api/v1/images/{image_id}")

    def images(self, *, offset: int = 0, limit: int = 100) -> Page[ImageView]:
        """A part of the list of pictures."""
        return self._get(Page[ImageView], f"/api/v1/images?offset={offset}&limit={limit}")

    def objects(self, image_id: str, *, by_doubt: bool = False) -> list[ObjectView]:
        """All objects of a picture."""
        order, after = "doubt" if by_doubt else "number", 0
        found: list[ObjectView] = []
        while True:
            place = f"/api/v1/images/{image_id}/objects?order={order}&limit=500&offset={after}"
            page = self._get(Page[ObjectView], place)
            found += page.items
            if page.next is None:
                return found
            after = page.next

    def doubtful(self, *, limit: int = 100) -> Page[ObjectView]:
        """What to look at next, in whichever picture."""
        return self._get(Page[ObjectView], f"/api/v1/objects?limit={limit}")

    def seen(self, object_id: str) -> SeenView:
        """Where the network looked."""
        return self._get(SeenView, f"/api/v1/objects/{object_id}/seen")

    def similar(self, object_id: str, *, limit: int = 6) -> tuple[SimilarView, ...]:
        """Decided objects that resemble it."""
        content = self._bytes(f"/api/v1/objects/{object_id}/similar?limit={limit}")
        return TypeAdapter(tuple[SimilarView, ...]).validate_json(content)

    def decide(self, object_id: str, new: NewDecision) -> DecisionView:
        """The decision, appended."""
        answer = self._http.post(
            f"/api/v1/objects/{object_id}/decisions", json=new.model_dump(mode="json", exclude_none=True)
        )
        return DecisionView.model_validate_json(_checked(answer))

    def history(self, object_id: str) -> tuple[DecisionView, ...]:
        """All that was ever decided on an object."""
        content = self._bytes(f"/api/v1/objects/{object_id}/decisions")
        return TypeAdapter(tuple[DecisionView, ...]).validate_json(content)

    def agreement(self) -> tuple[AgreementView, ...]:
        """How far reviewers agree."""
        return TypeAdapter(tuple[AgreementView, ...]).validate_json(self._bytes("/api/v1/agreement"))

    def picture(self, image_id: str, *, overlay: bool = False) -> bytes:
        """The picture as a PNG file, with outlines if ``overlay``."""
        return self._bytes(f"/api/v1/images/{image_id}/{'overlay' if overlay else 'picture'}.png")

    def crop(self, object_id: str) -> bytes:
        """An object's picture as a PNG file."""
        return self._bytes(f"/api/v1/objects/{object_id}/crop.png")

    def export(self, name: str) -> bytes:
        """``objects.csv``, ``decisions.csv``, ``coco.json`` or ``decisions.zip``."""
        return self._bytes(f"/api/v1/export/{name}")

    def purge(self, order: PurgeOrder) -> PurgeDone:
        """What was removed."""
        answer = self._http.post("/api/v1/purge", json=order.model_dump(mode="json", exclude_none=True))
        return PurgeDone.model_validate_json(_checked(answer))

    def _get(self, kind: type[Answer], place: str) -> Answer:
        return kind.model_validate_json(self._bytes(place))

    def _bytes(self, place: str) -> bytes:
        return _checked(self._http.get(place))


def _checked(answer: httpx2.Response) -> bytes:
    if answer.is_success:
        return answer.content
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValueError:
        problem = Problem(
            type="about:blank", title=answer.reason_phrase, status=answer.status_code, detail=""
        )
    raise ServiceError(problem, where=str(answer.request.url))
