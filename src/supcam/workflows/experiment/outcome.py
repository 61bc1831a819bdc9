"""What one run leaves behind: its answers as a few letters a picture, its recipe, its time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from supcam.core.disk import write_whole
from supcam.core.types import ManifestError, Region
from supcam.measure.table import UNKNOWN, PredictionTable, Words

_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""A number a letter; the last is that number or more."""
_UNKNOWN_SIGN = "-"


Model = TypeVar("Model", bound=BaseModel)


class Truth(BaseModel):
    """What is known of the pictures of one scored set, in their order; a sign a picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[str, ...]
    cases: tuple[tuple[str, str], ...]
    """Source and case, each once."""
    case_of: tuple[int, ...]
    """Each picture's case, as its place in ``cases``."""
    types: str = Field(pattern=r"^[0-3-]*$")
    counts: str = Field(pattern=r"^[0-9a-z-]*$")

    @property
    def hash(self) -> str:
        """What results name it by."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class Answered(BaseModel):
    """What a run said of one set, a sign a picture, and figures that need more than that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    truth: str
    types: str = Field(pattern=r"^[0-3]*$")
    counts: str = Field(pattern=r"^[0-9a-z]*$")
    figures: dict[str, float | None]


class Outcome(BaseModel):
    """One finished run. Seconds are of one process, and ``None`` where it was not watched to the end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    row: str
    seed: int
    fold: str | None
    recipe: JsonValue
    data_hash: str
    commit: str
    made_with: dict[str, str]
    first_step: str
    """Names step 1, which several rows may share; blank without one."""
    pretrain_pictures: int
    train_pictures: int
    pretrain_seconds: float | None
    train_seconds: float | None
    sets: dict[str, Answered]


def spent_seconds(outcomes: Iterable[Outcome]) -> float:
    """Of all runs together; a step 1 that several share counts once."""
    known = [*outcomes]
    firsts = {one.first_step: one.pretrain_seconds or 0.0 for one in known if one.first_step}
    return sum(firsts.values()) + sum(one.train_seconds or 0.0 for one in known)


def truth_of(regions: Sequence[Region], *, parts: Sequence[str]) -> Truth:
    """What is known of ``regions``."""
    pairs = [(region.source, region.case) for region in regions]
    cases = sorted(set(pairs))
    places = {pair: place for place, pair in enumerate(cases)}
    return Truth(
        parts=tuple(parts),
        cases=tuple(cases),
        case_of=tuple(places[pair] for pair in pairs),
        types=written([UNKNOWN if one.type is None else int(one.type) for one in regions]),
        counts=written([one.n_chromosomes or UNKNOWN for one in regions]),
    )


def table_of(answered: Answered, *, truth: Truth, fold: str) -> PredictionTable:
    """The answers beside the truth. Probabilities are 1 for what was read: figures of doubt mean nothing.

    Raises ``ManifestError`` when there is not one answer to each picture.
    """
    n = len(truth.case_of)
    if not n == len(truth.types) == len(truth.counts) == len(answered.types) == len(answered.counts):
        raise ManifestError(
            f"{len(answered.types)} types and {len(answered.counts)} counts read",
            expected=f"one of each for the {n} pictures of truth {truth.hash}",
            remedy="delete the result and run it again",
        )
    pairs = [truth.cases[place] for place in truth.case_of]
    return PredictionTable(
        paths=_words([f"{truth.hash}/{place}" for place in range(n)]),
        cases=_words([case for _, case in pairs]),
        sources=_words([source for source, _ in pairs]),
        folds=_words([fold] * n),
        true_types=read(truth.types),
        true_counts=read(truth.counts),
        probabilities=np.eye(4)[read(answered.types)],
        predicted_counts=read(answered.counts),
        accepted=np.ones(n, bool),
        rejected=np.zeros(n, bool),
    )


def written(numbers: Sequence[int]) -> str:
    """A sign for each number."""
    return "".join(_UNKNOWN_SIGN if n < 0 else _SIGNS[min(n, len(_SIGNS) - 1)] for n in numbers)


def read(signs: str) -> np.ndarray:
    """The numbers that ``written`` was given, -1 where unknown."""
    return np.array([UNKNOWN if sign == _UNKNOWN_SIGN else _SIGNS.index(sign) for sign in signs], np.int64)


def write_outcome(outcome: Outcome, *, truths: Sequence[Truth], folder: Path, name: str) -> Path:
    """The file of ``outcome`` in ``folder``, with the truths that it is scored by beside it."""
    for truth in truths:
        _write(folder / f"truth_{truth.hash}.json", truth, indent=None)
    return _write(folder / f"{name}.json", outcome, indent=1)


def read_outcome(folder: Path, *, name: str) -> Outcome | None:
    """The outcome of that name, if there is one. Raises ``ManifestError`` for a damaged file."""
    return _read(folder / f"{name}.json", kind=Outcome)


def read_truth(folder: Path, *, named: str) -> Truth:
    """The truth that an outcome names. Raises ``ManifestError`` when it is missing or damaged."""
    path = folder / f"truth_{named}.json"
    truth = _read(path, kind=Truth)
    if truth is None or truth.hash != named:
        raise ManifestError(
            "no such file" if truth is None else f"a truth of hash {truth.hash}",
            expected="the file that was written with the results",
            remedy="restore it, or run those rows again",
            where=path,
        )
    return truth


def _read(path: Path, *, kind: type[Model]) -> Model | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ManifestError(
            str(error), expected="a result of supcam experiment run", remedy="delete it", where=path
        ) from error


def _write(path: Path, model: BaseModel, *, indent: int | None) -> Path:
    text = json.dumps(model.model_dump(mode="json"), indent=indent, allow_nan=False) + "\n"
    return write_whole(path, [text.encode()])


def _words(texts: Sequence[str]) -> Words:
    return np.array(texts, dtype=np.str_)
