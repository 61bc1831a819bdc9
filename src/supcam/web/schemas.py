"""What goes over the wire, in both directions: the same types in the service and in its client."""

from datetime import datetime
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from supcam.core.reading import LEAST_COUNTS
from supcam.core.types import ClusterType

Kind = Literal["metaphase", "cluster"]
JobState = Literal["queued", "running", "done", "failed"]
Role = Literal["reader", "reviewer", "admin"]
TypeName = Literal["instance", "touching", "overlapping", "touching_overlapping", "rejected"]
Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$", examples=["5f0c1d2e3b4a59687786a5b4c3d2e1f0"])]
CASE = r"^[^\x00-\x1f\x7f]*$"
"""What a case may be called: anything on one line."""
Item = TypeVar("Item")


class Wire(BaseModel):
    """What all of them share: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Page(Wire, Generic[Item]):
    """A part of a list; ``next`` is the ``offset`` of the part after it, null at the end."""

    items: tuple[Item, ...]
    next: int | None = None


class ModelName(Wire):
    """Which model said something."""

    name: str = Field(examples=["supcam"])
    version: str = Field(examples=["2.0.0"])
    sha256: str = Field(description="SHA-256 of the weights.")


class ModelView(Wire):
    """The model that the service reads with: its card and calibration."""

    model: ModelName
    seal: str
    card: dict[str, object]
    calibration: dict[str, object]


class JobView(Wire):
    """One picture on its way through the queue."""

    id: Id
    image_id: Id
    state: JobState
    attempts: int
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    reason: str = Field("", description="Why it failed.")


class Accepted(Wire):
    """What became of the files of one request, in their order; committed before this is said."""

    jobs: tuple[JobView, ...]
    n_new: int = Field(description="Jobs that were not known before.")


class BoxView(Wire):
    """Half-open pixel box."""

    top: int
    left: int
    bottom: int
    right: int


class AnalysisView(Wire):
    """What a model says about a whole picture. ``facts`` hold counts, quality, reasons and notes."""

    id: Id
    model: ModelName
    created: datetime
    facts: dict[str, object]


class Counts(Wire):
    """The numbers of a picture as they stand: people's decisions where there are any, else the model's."""

    n_objects: int = Field(description="Objects, rejected ones included.")
    n_decided: int = Field(description="Objects that a person decided on.")
    n_to_review: int = Field(description="Objects that the model doubts and nobody decided on yet.")
    n_chromosomes: int
    by_type: dict[str, int]


class ImageView(Wire):
    """A picture. Once purged, its name is blank and its files are gone."""

    id: Id
    kind: Kind
    case: str
    name: str
    created: datetime
    purged: datetime | None = None
    analysis: AnalysisView | None = None
    counts: Counts | None = None


class PredictionView(Wire):
    """What a model says about an object; probabilities are null when it was not asked."""

    model: ModelName
    type: TypeName
    n_chromosomes: int
    decision: Literal["accept", "review"]
    confidence: float | None
    chromosome_probability: float | None
    probabilities: dict[str, float] | None
    rejection: str
    doubts: tuple[str, ...]
    doubt: float = Field(description="0 sure, 1 not at all; lists are ordered by it.")


class DecisionView(Wire):
    """What a person said, or (``revokes``) took back. ``holds``: not taken back since."""

    id: int
    object_id: Id
    reviewer: str
    created: datetime
    type: TypeName | None
    n_chromosomes: int | None
    revokes: int | None
    holds: bool
    model: ModelName


class ObjectView(Wire):
    """An object of a picture: outline, what the model says, what was decided last."""

    id: Id
    image_id: Id
    number: int = Field(description="Its number in the picture, from 1.")
    box: BoxView
    area_px: int
    outline: tuple[tuple[tuple[int, int], ...], ...] = Field(description="Polygons of (x, y).")
    has_crop: bool
    prediction: PredictionView
    decided: DecisionView | None = None


class NewDecision(Wire):
    """A decision to append: a type with its number of chromosomes, or an earlier decision to take back."""

    type: TypeName | None = None
    n_chromosomes: int | None = Field(None, ge=0, le=1000, description="Left out: the type's least number.")
    revokes: int | None = Field(None, ge=1, le=2**53)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if (self.type is None) == (self.revokes is None):
            raise ValueError("give either type or revokes")
        if self.type is None and self.n_chromosomes is not None:
            raise ValueError("n_chromosomes belongs to a type")
        if self.type is not None and self.n_chromosomes is not None:
            check_number(self.type, self.n_chromosomes)
        return self


def least_number(kind: str) -> int:
    """The fewest chromosomes of a type; 0 when rejected."""
    return 0 if kind == "rejected" else LEAST_COUNTS.get(ClusterType.from_label(kind), 1)


def check_number(kind: str, n_chromosomes: int) -> None:
    """Nothing, when that type can have that number: rejected 0, instance 1. Raises ``ValueError``."""
    least = least_number(kind)
    exactly = kind in ("rejected", "instance")
    if n_chromosomes < least or (exactly and n_chromosomes != least):
        raise ValueError(
            f"{kind} with {n_chromosomes} chromosomes; {'exactly' if exactly else 'from'} {least}"
        )


class SeenView(Wire):
    """Where the network looked: one grid a type over a square of the picture, which may reach beyond it."""

    top_px: float
    left_px: float
    side_px: float
    maps: dict[str, list[list[float]]]


class SimilarView(Wire):
    """A decided object that resembles another one. ``similarity`` is the cosine of their embeddings."""

    object: ObjectView
    similarity: float


class AgreementView(Wire):
    """How far two reviewers agree on the objects that both decided."""

    reviewers: tuple[str, str]
    n_objects: int
    same_type: float = Field(description="Share with the same type.")
    same_number: float = Field(description="Share with the same number of chromosomes.")
    kappa: float | None = Field(description="Cohen's kappa of the types; null where chance alone agrees.")


class SessionView(Wire):
    """Who is asking. ``csrf`` goes into the header ``X-CSRF-Token`` of requests that a cookie vouches for."""

    name: str
    role: Role
    csrf: str = ""


class NewSession(Wire):
    """A token, exchanged for a cookie."""

    token: str = Field(min_length=1, max_length=200)


class PurgeOrder(Wire):
    """What to remove: the pictures of a case, or all those older than so many days."""

    case: str | None = Field(None, min_length=1, max_length=200, pattern=CASE)
    older_than_days: float | None = Field(None, ge=0, le=100_000)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.case is None) == (self.older_than_days is None):
            raise ValueError("give either case or older_than_days")
        return self


class PurgeDone(Wire):
    """What was removed; decisions stay."""

    n_images: int
    n_files: int
    n_decisions_kept: int


class AuditView(Wire):
    """Who did what, when."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, object]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Too many requests"])
    status: int = Field(examples=[429])
    detail: str = Field("", examples=["found a full queue; expected room for 1 more; try again later"])
