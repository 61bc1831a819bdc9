"""One row per scored picture: what is true, what the model said, and the case it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from supcam.core.types import SupcamError

UNKNOWN = -1
"""Written where the true type or the true number of chromosomes is not known."""

_BETWEEN = "\x1f"

Words = Shaped[np.ndarray, " batch"]
"""A column of text."""
Labels = Int[np.ndarray, " batch"]
Flags = Bool[np.ndarray, " batch"]
Scores = Float64[np.ndarray, " batch"]


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictionTable:
    """Predictions beside the truth, one row a picture; every column has the same length.

    ``true_types`` are ``ClusterType`` values 0..3 and ``true_counts`` numbers of chromosomes from 1 on, -1
    where unknown. ``probabilities`` are the joint reading's, in ``ClusterType`` order, each row summing to
    1. ``accepted`` says whether the model's own threshold let the row pass, ``rejected`` whether it was
    read as no chromosome at all (its count may be 0 then). ``folds`` names the fold or role that the row
    was scored in. The raw logits, when kept, allow a later calibration. Raises ``SupcamError`` when columns
    differ in length or hold impossible values.
    """

    paths: Words
    cases: Words
    sources: Words
    folds: Words
    true_types: Labels
    true_counts: Labels
    probabilities: Float64[np.ndarray, "batch 4"]
    predicted_counts: Labels
    accepted: Flags
    rejected: Flags
    type_logits: Float[np.ndarray, "batch 4"] | None = None
    count_logits: Float[np.ndarray, "batch counts"] | None = None

    def __post_init__(self) -> None:
        _check_lengths(self)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def predicted_types(self) -> Labels:
        """The most probable type of each row, 0..3 (whether or not the row was rejected)."""
        types: Labels = np.argmax(self.probabilities, axis=1).astype(np.int64)
        return types

    @property
    def confidence(self) -> Scores:
        """The highest probability of each row, 0.25..1."""
        highest: Scores = np.max(self.probabilities, axis=1, initial=0.0)
        return highest

    @property
    def correct(self) -> Flags:
        """Where the most probable type is the true one and the row was not rejected."""
        right: Flags = (self.predicted_types == self.true_types) & ~self.rejected
        return right

    @property
    def case_keys(self) -> Words:
        """Source and case in one word: two laboratories may use the same case number."""
        pairs = [f"{source}{_BETWEEN}{case}" for source, case in zip(self.sources, self.cases, strict=True)]
        return np.array(pairs, dtype=np.str_)

    def take(self, rows: Int[np.ndarray, " some"] | Bool[np.ndarray, " batch"]) -> PredictionTable:
        """The chosen rows (indices, which may repeat, or a mask) as a new table."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: values[rows] for name, values in columns.items() if values is not None})


def pool(tables: Sequence[PredictionTable]) -> PredictionTable:
    """All rows of several tables, for figures out of all folds at once.

    Logits are kept when every table has them with the same width. Raises ``SupcamError`` when there is no
    table, or when one case appears in two of them: out-of-fold rows come from each case once.
    """
    if not tables:
        raise SupcamError(
            "no table", expected="at least one table of predictions", remedy="name the tables to pool"
        )
    _check_cases_apart(tables)
    return stacked(tables)


def stacked(tables: Sequence[PredictionTable]) -> PredictionTable:
    """All rows of at least one table below each other, whatever their cases: several runs on one set."""
    names = [field.name for field in fields(PredictionTable)]
    return replace(tables[0], **{name: _joined(tables, column=name) for name in names})


def _joined(tables: Sequence[PredictionTable], *, column: str) -> Any:  # noqa: ANN401 (text, numbers or None)
    arrays = [getattr(table, column) for table in tables]
    if any(array is None for array in arrays) or len({array.shape[1:] for array in arrays}) > 1:
        return None
    return np.concatenate(arrays)


def _check_cases_apart(tables: Sequence[PredictionTable]) -> None:
    seen: set[str] = set()
    for table in tables:
        cases = {str(key) for key in table.case_keys}
        twice = sorted(key.replace(_BETWEEN, "/") for key in cases & seen)
        if twice:
            raise SupcamError(
                f"cases in more than one table: {', '.join(twice[:5])}",
                expected="every case scored in one table only",
                remedy="pool the tables of folds that share no case",
            )
        seen |= cases


def _check_lengths(table: PredictionTable) -> None:
    lengths = {
        field.name: len(getattr(table, field.name))
        for field in fields(table)
        if getattr(table, field.name) is not None
    }
    if len(set(lengths.values())) > 1:
        raise SupcamError(
            f"columns of different lengths: {lengths}",
            expected="one value a row in every column",
            remedy="build all columns from the same samples",
        )


def _check_values(table: PredictionTable) -> None:
    sums = table.probabilities.sum(axis=1)
    claims = {
        "true types in -1..3": bool(np.all((table.true_types >= UNKNOWN) & (table.true_types <= 3))),
        "true counts of -1 or from 1 on": bool(
            np.all((table.true_counts == UNKNOWN) | (table.true_counts >= 1))
        ),
        "predicted counts from 0 on": bool(np.all(table.predicted_counts >= 0)),
        "four probabilities a row": table.probabilities.ndim == 2 and table.probabilities.shape[1] == 4,
        "probabilities of 0..1": bool(np.all((table.probabilities >= 0) & (table.probabilities <= 1 + 1e-6))),
        "probabilities that sum to 1": bool(np.all(np.abs(sums - 1) < 1e-4)),
    }
    for expected, holds in claims.items():
        if not holds:
            raise SupcamError("something else", expected=expected, remedy="check what filled the table")
