"""Predictions and failures, row by row, into CSV and JSON files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping

from supcam.core.types import ClusterType, Prediction
from supcam.data.files import Unreadable
from supcam.spread.schema import PREDICTIONS
from supcam.workflows.whole_file import WholeFile

COLUMNS = (
    "path",
    "type",
    "confidence",
    *(f"p_{kind.label}" for kind in ClusterType),
    "n_chromosomes",
    "decision",
)
"""The columns of ``predictions.csv``, in their order."""
DETAIL_COLUMNS = ("type_set", "unfamiliarity")
"""What follows them where details are asked for."""
ERROR_COLUMNS = ("path", "error")


class CsvTable:
    """Rows under ``columns``, written as they come; lines end as on Unix."""

    def __init__(self, file: WholeFile, *, columns: tuple[str, ...]) -> None:
        self.file = file
        self._writer = csv.writer(_UnixLines(file), lineterminator="\r\n")
        self._writer.writerow(columns)

    def add(self, row: tuple[object, ...]) -> None:
        """One more row."""
        self._writer.writerow(row)


class _UnixLines:
    """Passes rows on without the carriage return at their end.

    A writer that is told to end lines with a newline alone does not quote a carriage return in a name.
    """

    def __init__(self, file: WholeFile) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


class JsonReport:
    """``{"schema": ..., "model": ..., "predictions": [...], "errors": [...]}``; predictions as they come."""

    def __init__(self, file: WholeFile, *, model: Mapping[str, object]) -> None:
        self.file = file
        self._n_rows = 0
        file.write(f'{{"schema": "{PREDICTIONS}",\n"model": {json.dumps(model)},\n"predictions": [')

    def add(self, name: str, prediction: Prediction) -> None:
        """One more prediction."""
        values = prediction_values(name, prediction)
        values["chromosome_probability"] = prediction.chromosome_probability
        values["unfamiliarity"] = _rounded(prediction.unfamiliarity)
        kinds = None if prediction.type_set is None else [kind.label for kind in prediction.type_set]
        self.file.write(("," if self._n_rows else "") + "\n" + json.dumps(values | {"type_set": kinds}))
        self._n_rows += 1

    def finish(self, failures: list[Unreadable]) -> None:
        """The end of the document."""
        errors = [{"path": str(item.path), "error": item.reason} for item in failures]
        self.file.write(f'\n],\n"errors": {json.dumps(errors, indent=0)}}}\n')


def prediction_row(name: str, prediction: Prediction, *, details: bool = False) -> tuple[object, ...]:
    """The values of ``COLUMNS``, and with ``details`` those of ``DETAIL_COLUMNS``; six decimals.

    Types of a set are joined by a plus; what the model cannot say is blank.
    """
    values = prediction_values(name, prediction)
    if details:
        values["type_set"] = "+".join(kind.label for kind in prediction.type_set or ())
        values["unfamiliarity"] = _rounded(prediction.unfamiliarity)
    return tuple(f"{value:.6f}" if isinstance(value, float) else value for value in values.values())


def prediction_values(name: str, prediction: Prediction) -> dict[str, str | float | int | None]:
    """The values of ``COLUMNS`` by their names, in their order, probabilities rounded to six decimals."""
    shares = [round(share, 6) for share in prediction.probabilities]
    return {
        "path": name,
        "type": prediction.type,
        "confidence": round(prediction.confidence, 6),
        **{f"p_{kind.label}": share for kind, share in zip(ClusterType, shares, strict=True)},
        "n_chromosomes": prediction.n_chromosomes,
        "decision": prediction.decision.value,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
