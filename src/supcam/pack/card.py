"""What a bundle says about itself: its card and its calibration, checked key by key."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Self, TypeVar

import numpy as np
from pydantic import Field, JsonValue, StringConstraints, ValidationError, model_validator

from supcam.core.config import CropConfig, ForegroundConfig, StageConfig
from supcam.core.in_context import MEASURES, Softmax
from supcam.core.look import LOOK, Reference
from supcam.core.types import BundleError, Polarity

FORMAT_VERSION = "1.2"
"""Written into every new card. Readers refuse another major number; a new minor number only adds keys."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(gt=0, le=1000)]
_BROKEN_NUMBERS = re.compile(r"\[\n\s*([-+.,\deE\s]+?)\n\s*\]")
"""A list of numbers over several lines: JSON text holds no line break within a string."""
Checked = TypeVar("Checked", bound=StageConfig)


class HeadsTrained(StageConfig):
    """Which heads were trained; an untrained head's output is there, and means nothing."""

    type: bool = Field(True, description="The type head: four logits.")
    count: bool = Field(True, description="The number head: one logit for each number of chromosomes.")
    chromosome: bool = Field(False, description="The chromosome-or-not head: one logit.")


class Figure(StageConfig):
    """One measured figure; a figure without the role of its data is none."""

    name: str = Field(description="What was measured, such as accuracy.")
    value: float = Field(description="The point estimate.")
    low: float | None = Field(None, description="Lower end of the interval.")
    high: float | None = Field(None, description="Upper end of the interval.")
    n: int | None = Field(None, ge=0, description="Number of pictures it rests on.")
    source: str = Field(description="Data source, such as a data set's name.")
    role: str = Field(description="Role of that data: train, select, report, a fold.")
    note: str = Field("", description="How it was measured.")


class DataCard(StageConfig):
    """The pictures behind the weights."""

    roles: dict[str, tuple[str, ...]] = Field({}, description="Cases or folds of each role, by role.")
    hashes: dict[str, str] = Field({}, description="SHA-256 of each manifest or roles file, by name.")
    sources: tuple[str, ...] = Field(
        (), description="Where the pictures come from, with citation and licence."
    )


class Comparison(StageConfig):
    """How the shipped network compares with the one that was trained, on the same pictures."""

    n_pictures: int = Field(ge=0, description="Pictures that both networks read; drawn ones included.")
    batch_sizes: tuple[int, ...] = Field(description="Batch sizes in which the shipped network read them.")
    largest_difference: float = Field(ge=0, description="Of any output, as a share of 1 + its largest value.")
    largest_probability_difference: float = Field(ge=0, le=1, description="Of any type's probability.")
    changed_decisions: int = Field(ge=0, description="Predictions with another type, number or decision.")


class CardWords(StageConfig):
    """What only the maker of a bundle can say."""

    name: str = Field("unnamed", min_length=1, description="Name of the model.")
    version: str = Field("0.0.0", min_length=1, description="Version of the model, not of the package.")
    description: str = Field("", description="What it is for, and what it is not for.")
    data: DataCard = Field(DataCard(), description="The pictures behind the weights.")
    figures: tuple[Figure, ...] = Field((), description="What was measured, each with its data's role.")
    all_sides_below: Share = Field(
        0.0,
        description="A picture whose likeliest type has a smaller probability, before calibration, is shown "
        "to the network from its eight sides; 0: none is.",
    )


class CardText(CardWords):
    """What is known before the files are written; the rest of the card is computed from them."""

    heads_trained: HeadsTrained = Field(HeadsTrained(), description="Which heads mean something.")
    foreground: ForegroundConfig = Field(ForegroundConfig(), description="How the object is found in a crop.")
    crop: CropConfig = Field(CropConfig(), description="How the object becomes the network's input.")
    network: dict[str, JsonValue] = Field({}, description="The network's configuration.")
    training: dict[str, JsonValue] = Field({}, description="The training's configuration.")
    comparison: Comparison | None = Field(None, description="Shipped against trained network.")


class FileSeal(StageConfig):
    """What a file of the bundle must be."""

    sha256: Sha256 = Field(description="SHA-256 of its content.")
    n_bytes: int = Field(ge=1, description="Its size.")


class Card(CardText):
    """The whole ``card.json``."""

    format_version: str = Field(pattern=r"^\d{1,4}\.\d{1,4}$", description="major.minor of this format.")
    weights: str = Field(
        pattern="^(float(16|32)|int8)$",
        description="How weights are stored; floats compute in float32, integers in integers.",
    )
    opset: int = Field(ge=1, description="ONNX operator set.")
    files: dict[str, FileSeal] = Field(description="Every other file of the bundle, by name.")
    seal: Sha256 = Field(description="SHA-256 of this card without this key.")

    @property
    def model_sha256(self) -> str:
        """SHA-256 of ``model.onnx``: the identity of the weights."""
        return self.files["model.onnx"].sha256


class TypeSets(StageConfig):
    """Sets of types that hold the true one with a chosen probability, by thresholds found in calibration."""

    levels: tuple[Share, ...] = Field(description="Probabilities that can be asked for, ascending.")
    thresholds: tuple[tuple[Share, Share, Share, Share], ...] = Field(
        description="For each level and type: the set holds the type where 1 - its probability is no larger."
    )
    n_samples: tuple[int, int, int, int] = Field(description="Calibration pictures of each type.")
    pooled: tuple[bool, bool, bool, bool] = Field(
        description="Types with too few of them: their threshold is that of all types together."
    )
    covered: tuple[Share, ...] = Field(description="Share of sets that hold the true type, other cases.")
    mean_size: tuple[float, ...] = Field(description="Mean number of types in a set, other cases.")


Numbers = tuple[float, ...]


class Familiar(StageConfig):
    """How pictures look that the model knows; the numbers are those of ``core/look.py``, in their order."""

    means: tuple[Numbers, ...] = Field(min_length=1, description="A mean look for each type that was read.")
    precision: tuple[Numbers, ...] = Field(description="The inverse of the spread around the means.")
    limit: float = Field(gt=0, description="Mahalanobis distance beyond which a picture goes to review.")
    fitted_on: tuple[str, ...] = Field((), description="Roles of the pictures behind means and spread.")
    limit_on: tuple[str, ...] = Field((), description="Roles of the pictures that the limit was found on.")
    kept: float = Field(ge=0, le=1, description="Share of these within the limit.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        lengths = {len(row) for row in (*self.means, *self.precision)} | {len(self.precision)}
        if lengths != {len(LOOK)}:
            raise ValueError(f"means and precision must have {len(LOOK)} columns, precision as many rows")
        return self

    def reference(self) -> Reference:
        """The same as arrays."""
        return Reference(
            means=np.array(self.means, np.float64),
            precision=np.array(self.precision, np.float64),
            limit=self.limit,
        )


class InContext(StageConfig):
    """How objects are read in their picture; the numbers are those of ``core/in_context.py``."""

    mean: Numbers = Field(description="Mean of each measure.")
    scale: tuple[Annotated[float, Field(gt=0)], ...] = Field(description="Spread of each measure.")
    weights: tuple[Numbers, ...] = Field(
        min_length=4,
        description="For 0, 1, 2 ... chromosomes (the last: or more) a weight a measure, then a square.",
    )
    intercepts: Numbers = Field(description="For the same numbers.")
    polarity: Polarity = Field(description="Pictures of the other polarity are not read so.")
    fitted_on: tuple[str, ...] = Field((), description="Roles of the metaphases that it was fitted on.")
    n_pictures: int = Field(0, ge=0, description="Metaphases that it was fitted on.")
    n_objects: int = Field(0, ge=0, description="Objects in these.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        n = len(MEASURES)
        if {len(self.mean), len(self.scale)} != {n} or {len(row) for row in self.weights} != {2 * n}:
            raise ValueError(f"mean and scale must have {n} numbers, and each row of weights {2 * n}")
        if len(self.intercepts) != len(self.weights):
            raise ValueError(f"{len(self.weights)} rows of weights must have as many intercepts")
        return self

    def softmax(self) -> Softmax:
        """The same as arrays."""
        return Softmax(
            mean=np.array(self.mean, np.float64),
            scale=np.array(self.scale, np.float64),
            weights=np.array(self.weights, np.float64),
            intercepts=np.array(self.intercepts, np.float64),
        )


class Calibration(StageConfig):
    """How logits become probabilities and decisions; fitted on named roles only. By default: not fitted.

    The keys are those of ``measure.calibration.Calibration``, which finds the values.
    """

    temperature: float = Field(1.0, gt=0, le=100, description="Logits of both heads are divided by it.")
    prior: tuple[Ratio, Ratio, Ratio, Ratio] | None = Field(
        None, description="Frequency in use over frequency in training, by type; None: the same."
    )
    accept_threshold: float = Field(
        1.01, ge=0, le=1.01, description="Confidence from which a prediction is accepted; 1.01: never."
    )
    chromosome_threshold: float | None = Field(
        None, ge=0, le=1, description="Chromosome probability below which an object is rejected; None: never."
    )
    chromosome_fitted_on: tuple[str, ...] = Field(
        (), description="Roles of the metaphases that chromosome_threshold was fitted on."
    )
    chromosomes_kept: float | None = Field(
        None, ge=0, le=1, description="Share of the chromosomes there that it keeps."
    )
    others_rejected: float | None = Field(
        None, ge=0, le=1, description="Share of the objects without a chromosome there that it rejects."
    )
    max_error: float = Field(0.02, ge=0, le=1, description="Share of errors allowed among the accepted.")
    fitted_on: tuple[str, ...] = Field((), description="Roles of the data it was fitted on.")
    n_samples: int = Field(0, ge=0, description="Pictures it was fitted on.")
    n_cases: int = Field(0, ge=0, description="Cases they come from.")
    accepted_share: float | None = Field(None, ge=0, le=1, description="Accepted, out of fold.")
    accepted_error: float | None = Field(
        None, ge=0, le=1, description="Wrong among the accepted, out of fold."
    )
    accepted_clusters_error: float | None = Field(None, ge=0, le=1, description="The same, called a cluster.")
    calibration_prior: tuple[Share, Share, Share, Share] | tuple[()] = Field(
        (), description="Share of each type among the pictures it was fitted on; empty: not said."
    )
    evidence: tuple[tuple[Annotated[int, Field(ge=0, le=3)], Share, Share, Share, Share], ...] = Field(
        (), description="Each of those pictures: true type, and its four probabilities, out of fold."
    )
    type_sets: TypeSets | None = Field(None, description="Sets of types; None: not fitted.")
    familiar: Familiar | None = Field(None, description="How known pictures look; None: not fitted.")
    in_context: InContext | None = Field(
        None, description="How objects of whole pictures are read; None: each one by itself."
    )


def parse_card(text: bytes, *, where: str) -> Card:
    """The card in ``text``. Raises ``BundleError``: no JSON, another version, unknown keys, broken seal."""
    values = parse_object(text, where=where)
    check_version(values.get("format_version"), where=where)
    card = parse_model(Card, values, where=where)
    unsealed = {key: value for key, value in values.items() if key != "seal"}
    if seal_of(unsealed) != card.seal:
        raise BundleError(
            "a card that was changed after it was sealed",
            expected="the card as it was written",
            remedy="fetch the bundle again, or export it again with what you want to say",
            where=where,
        )
    return card


def parse_calibration(text: bytes, *, where: str) -> Calibration:
    """The calibration in ``text``. Raises ``BundleError``."""
    return parse_model(Calibration, parse_object(text, where=where), where=where)


def seal_of(values: Mapping[str, object]) -> str:
    """SHA-256 of ``values`` written as JSON in one fixed way."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(values: Mapping[str, object]) -> bytes:
    """``values`` as indented JSON text for people, a list of numbers on one line."""
    text = json.dumps(values, indent=2, ensure_ascii=True)
    return (_BROKEN_NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n").encode()


def compact_json(values: Mapping[str, object]) -> bytes:
    """``values`` as JSON text without a space, for long tables."""
    return (json.dumps(values, separators=(",", ":")) + "\n").encode()


def check_version(found: object, *, where: str) -> None:
    """Nothing, when this program reads that format. Raises ``BundleError`` for another major version."""
    major = FORMAT_VERSION.partition(".")[0]
    if not isinstance(found, str) or found.partition(".")[0] != major:
        raise BundleError(
            f"format_version {found!r}",
            expected=f"version {major}.x",
            remedy="use a bundle made for this version of supcam, or install the version that made it",
            where=where,
        )


def parse_object(text: bytes, *, where: str) -> dict[str, object]:
    """The JSON object in ``text``. Raises ``BundleError``."""
    try:
        values = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BundleError(
            f"no JSON ({error})", expected="a JSON object", remedy="fetch the bundle again", where=where
        ) from error
    if not isinstance(values, dict):
        raise BundleError(
            f"JSON of type {type(values).__name__}",
            expected="a JSON object",
            remedy="fetch the bundle again",
            where=where,
        )
    return values


def parse_model(model: type[Checked], values: object, *, where: str) -> Checked:
    """``values`` as a checked ``model``. Raises ``BundleError`` that names every wrong key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg']}" for item in error.errors()
        )
        raise BundleError(
            wrong,
            expected=f"the keys of format {FORMAT_VERSION} and no others",
            remedy="use a bundle made for this version of supcam",
            where=where,
        ) from error
