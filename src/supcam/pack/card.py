"""What a bundle says about itself: its card and its calibration, checked key by key."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import Field, JsonValue, StringConstraints, ValidationError

from supcam.core.config import CropConfig, ForegroundConfig, StageConfig
from supcam.core.types import BundleError

FORMAT_VERSION = "1.0"
"""Written into every new card. Readers refuse another major number; a new minor number only adds keys."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Ratio = Annotated[float, Field(gt=0, le=1000)]
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
        pattern="^float(16|32)$", description="How weights are stored; all compute in float32."
    )
    opset: int = Field(ge=1, description="ONNX operator set.")
    files: dict[str, FileSeal] = Field(description="Every other file of the bundle, by name.")
    seal: Sha256 = Field(description="SHA-256 of this card without this key.")

    @property
    def model_sha256(self) -> str:
        """SHA-256 of ``model.onnx``: the identity of the weights."""
        return self.files["model.onnx"].sha256


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
    """``values`` as indented JSON text for people."""
    return (json.dumps(values, indent=2, ensure_ascii=True) + "\n").encode()


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
