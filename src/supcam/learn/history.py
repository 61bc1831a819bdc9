"""The tables that a run leaves behind: ``metrics.csv`` (training) and ``history.csv`` (validation)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

METRICS = "metrics.csv"
HISTORY = "history.csv"
_METRICS_COLUMNS = (
    "step",
    "epoch",
    "total",
    "type",
    "count",
    "chromosome",
    "learning_rate",
    "pictures_per_second",
)
_HISTORY_COLUMNS = (
    "step",
    "epoch",
    "set",
    "n",
    "accuracy",
    "clusters_accuracy",
    "cluster_found",
    "macro_recall",
    "count_accuracy",
    "count_2_or_3",
    "chromosome_accuracy",
    "type_loss",
)

Row = Mapping[str, str | float]


class StepTable:
    """A CSV file to which rows are added, one at a time, each complete on disk before the next."""

    def __init__(self, path: Path, *, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)

    def append(self, row: Row) -> None:
        """``row`` as the last line; the header first when the file is new."""
        new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=self.columns)
            if new:
                writer.writeheader()
            writer.writerow(row)

    def cut_after(self, step: int) -> None:
        """Only rows up to ``step`` stay: what a killed run did after its last checkpoint is done again."""
        if not self.path.exists():
            return
        kept = [row for row in self._complete_rows() if int(row["step"]) <= step]
        shortened = self.path.with_name(self.path.name + ".unfinished")
        with shortened.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=self.columns)
            writer.writeheader()
            writer.writerows(kept)
        shortened.replace(self.path)

    def _complete_rows(self) -> list[dict[str, str]]:
        """The rows with a value in every column; a line that a kill cut short has not."""
        with self.path.open(encoding="utf-8", newline="") as stream:
            return [row for row in csv.DictReader(stream) if all(row.get(name) for name in self.columns)]


class TableLogger(Logger):
    """Metrics named ``train/NAME`` and ``validation/SET/NAME`` as two tables; other names are left out."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._metrics = StepTable(folder / METRICS, columns=_METRICS_COLUMNS)
        self._history = StepTable(folder / HISTORY, columns=_HISTORY_COLUMNS)

    @property
    def name(self) -> str:
        """The logger's name, which nothing is stored under."""
        return ""

    @property
    def version(self) -> str:
        """The logger's version, which nothing is stored under."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Nothing: the configuration lies beside the tables."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One row of the table that the names point to, one for each validation set."""
        assert step is not None
        place: dict[str, str | float] = {"step": step, "epoch": int(metrics.get("epoch", -1))}
        trained = _under(metrics, prefix="train/")
        if trained:
            self._metrics.append(place | trained)
        for name in dict.fromkeys(_set_name(key) for key in metrics if key.startswith("validation/")):
            self._history.append(place | {"set": name} | _under(metrics, prefix=f"validation/{name}/"))

    def cut_after(self, step: int) -> None:
        """Only what was logged up to ``step`` stays."""
        self._metrics.cut_after(step)
        self._history.cut_after(step)


def _under(metrics: Mapping[str, float], *, prefix: str) -> dict[str, str | float]:
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


def _set_name(key: str) -> str:
    return key.removeprefix("validation/").rpartition("/")[0]
