"""What answers look like: one example of everything that goes over the wire, for the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from supcam.pack.before_after import BeforeAfter, Change, DecidedFacts, ModelId, PairedFacts
from supcam.web.comparisons import ComparisonView
from supcam.web.schemas import (
    Accepted,
    AgreementView,
    AnalysisView,
    AuditView,
    BoxView,
    Counts,
    DecisionView,
    ImageView,
    JobView,
    ModelName,
    ModelView,
    NewDecision,
    NewSession,
    ObjectView,
    Page,
    PredictionView,
    Problem,
    PurgeDone,
    PurgeOrder,
    SeenView,
    SessionView,
    SimilarView,
)
from supcam.web.second_look import SecondLookView

IMAGE_ID, OBJECT_ID = "9f2c6d1b7a3e4c5d8f0a1b2c3d4e5f60", "5f0c1d2e3b4a59687786a5b4c3d2e1f0"
_JOB_ID, _ANALYSIS_ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "77aa88bb99cc00dd11ee22ff33445566"
_SHA256 = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
_CAME = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_DECIDED = datetime(2026, 3, 2, 10, 5, tzinfo=UTC)

_MODEL = ModelName(name="supcam", version="2.1.0", sha256=_SHA256)
_JOB = JobView(
    id=_JOB_ID, image_id=IMAGE_ID, state="done", attempts=1, created=_CAME, started=_CAME, finished=_CAME
)
_ANALYSIS = AnalysisView(
    id=_ANALYSIS_ID,
    model=_MODEL,
    created=_CAME,
    facts={"width": 1536, "height": 1024, "n_objects": 38, "n_chromosomes": 46, "decision": "review"},
)
_COUNTS = Counts(
    n_objects=40,
    n_decided=1,
    n_to_review=5,
    n_chromosomes=46,
    by_type={"instance": 32, "touching": 4, "overlapping": 2, "touching_overlapping": 0},
)
_IMAGE = ImageView(
    id=IMAGE_ID,
    kind="metaphase",
    case="K-0042",
    name="spread.png",
    created=_CAME,
    analysis=_ANALYSIS,
    counts=_COUNTS,
)
_PREDICTION = PredictionView(
    model=_MODEL,
    type="touching",
    n_chromosomes=2,
    decision="review",
    confidence=0.71,
    chromosome_probability=0.998,
    probabilities={"instance": 0.05, "touching": 0.71, "overlapping": 0.2, "touching_overlapping": 0.04},
    rejection="",
    doubts=("confidence",),
    doubt=0.69,
)
_DECISION = DecisionView(
    id=17,
    object_id=OBJECT_ID,
    reviewer="Ann Example",
    created=_DECIDED,
    type="touching",
    n_chromosomes=2,
    revokes=None,
    holds=True,
    model=_MODEL,
)
_OBJECT = ObjectView(
    id=OBJECT_ID,
    image_id=IMAGE_ID,
    number=7,
    box=BoxView(top=210, left=388, bottom=282, right=451),
    area_px=1874,
    outline=(((388, 240), (420, 210), (450, 262), (431, 281)),),
    has_crop=True,
    prediction=_PREDICTION,
    decided=_DECISION,
)
_SECOND_LOOK = SecondLookView(
    object=_OBJECT, decided_type="touching", suggested_type="overlapping", quality=0.08, is_likely_wrong=True
)
COMPARISON = BeforeAfter(
    made=_DECIDED,
    before=ModelId(name="supcam", version="2.1.0", sha256=_SHA256),
    after=ModelId(name="supcam", version="2.1.0+decisions", sha256=_SHA256[::-1]),
    decided=DecidedFacts(
        n_learnt=310,
        n_learnt_rejected=12,
        n_learnt_cases=14,
        n_held_out=131,
        n_held_out_rejected=4,
        n_held_out_cases=6,
        sha256=_SHA256,
    ),
    figures=(
        Change(
            name="accuracy of the four types",
            before=0.863,
            before_low=0.79,
            before_high=0.92,
            after=0.916,
            after_low=0.86,
            after_high=0.96,
            difference=0.053,
            difference_low=0.01,
            difference_high=0.1,
        ),
        Change(name="share accepted without review", before=0.81, after=0.84, difference=0.03),
    ),
    test=PairedFacts(n_became_right=9, n_became_wrong=2, n_differing_cases=6, p_value=0.031, least_p=0.031),
    steps=180,
)
_COMPARED = ComparisonView(verdict=COMPARISON.verdict, words=COMPARISON.words, comparison=COMPARISON)
_AUDIT = AuditView(
    id=204,
    at=_DECIDED,
    actor="Ann Example",
    action="decide",
    subject="17",
    details={"object": OBJECT_ID, "type": "touching", "n": 2, "revokes": None},
)

_EXAMPLES: tuple[BaseModel, ...] = (
    *(_MODEL, _JOB, _ANALYSIS, _COUNTS, _IMAGE, _PREDICTION, _DECISION, _OBJECT, _OBJECT.box, _SECOND_LOOK),
    *(COMPARISON, COMPARISON.before, COMPARISON.decided, *COMPARISON.figures, COMPARISON.test),
    *(_COMPARED, _AUDIT),
    Accepted(jobs=(_JOB.model_copy(update={"state": "queued", "attempts": 0}),), n_new=1),
    AgreementView(
        reviewers=("Ann Example", "Bob Example"), n_objects=120, same_type=0.93, same_number=0.97, kappa=0.88
    ),
    ModelView(model=_MODEL, seal=_SHA256[::-1], card={"name": "supcam", "version": "2.1.0"}, calibration={}),
    NewDecision(type="touching", n_chromosomes=2),
    NewDecision(revokes=17),
    NewSession(token="supcam_5f0c1d2e3b4a5968_the-secret-part"),  # noqa: S106  nobody's
    Page[AuditView](items=(_AUDIT,), next=None),
    Page[ComparisonView](items=(_COMPARED,), next=None),
    Page[ImageView](items=(_IMAGE,), next=100),
    Page[JobView](items=(_JOB,), next=100),
    Page[ObjectView](items=(_OBJECT,), next=None),
    Page[SecondLookView](items=(_SECOND_LOOK,), next=None),
    Problem(type="about:blank", title="Too Many Requests", status=429, detail="too many requests"),
    PurgeDone(n_images=3, n_files=132, n_decisions_kept=41),
    PurgeOrder(case="K-0042"),
    PurgeOrder(older_than_days=365),
    SeenView(top_px=180.0, left_px=352.0, side_px=132.0, maps={"touching": [[0.1, 0.4], [0.2, 1.9]]}),
    SessionView(name="Ann Example", role="reviewer", csrf=""),
    SimilarView(object=_OBJECT, similarity=0.94),
)

PARAMETERS: dict[str, object] = {
    "case": "K-0042",
    "image_id": IMAGE_ID,
    "job_id": _JOB_ID,
    "kind": "metaphase",
    "likely": True,
    "limit": 20,
    "object_id": OBJECT_ID,
    "offset": 0,
    "state": "failed",
    "to_review": True,
    "undecided": True,
}
"""An example of each parameter; those that are not here list their values."""

ANSWERS: dict[str, object] = {
    "get_coco": {
        "images": [{"id": 1, "file_name": "spread.png", "width": 1536, "height": 1024}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [388, 210, 63, 72], "area": 1874}],
        "categories": [{"id": 2, "name": "touching"}],
    },
    "get_health": "alive",
    "get_ready": "ready",
    "get_metrics": 'supcam_jobs{state="done"} 1204.0\n',
    "get_objects_csv": f"image_id,image,case,object_id,number\n{IMAGE_ID},spread.png,K-0042,{OBJECT_ID},7\n",
    "get_decisions_csv": f"decision_id,object_id,image_id,case\n17,{OBJECT_ID},{IMAGE_ID},K-0042\n",
}
"""Examples of answers that no schema describes, by operation."""


def by_schema() -> dict[str, list[Any]]:
    """The examples of every schema, by the name that it has in the document."""
    found: dict[str, list[Any]] = {}
    for example in _EXAMPLES:
        name = type(example).__name__.replace("[", "_").replace("]", "_")
        found.setdefault(name, []).append(example.model_dump(mode="json", exclude_none=_is_order(example)))
    return found


def _is_order(example: BaseModel) -> bool:
    """What is sent to the service leaves out what is not meant."""
    return isinstance(example, NewDecision | PurgeOrder)
