"""The tables that a run leaves behind: ``metrics.csv`` (training) and ``history.csv`` (validation)."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from typing_extensions import override

from supcam.learn.scores import Scores

METRICS = "metrics.csv"
HISTORY = "history.csv"
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


class Learner(Protocol):
    """What is asked of a module to have its losses written down: their names, and those of the last step."""

    @property
    def term_names(self) -> tuple[str, ...]:
        """The columns of the losses, in their order."""
        ...

    @property
    def terms(self) -> Mapping[str, Tensor]:
        """The losses of the step that was taken last."""
        ...


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
    """Metrics named ``train/NAME`` and ``validation/SET/NAME`` as two tables; other names are left out.

    ``terms`` are the losses of a training step, each with its column.
    """

    def __init__(self, folder: Path, *, terms: Sequence[str]) -> None:
        super().__init__()
        columns = ("step", "epoch", *terms, "learning_rate", "pictures_per_second")
        self._metrics = StepTable(folder / METRICS, columns=columns)
        self._history = StepTable(folder / HISTORY, columns=_HISTORY_COLUMNS)

    @property
    @override
    def name(self) -> str:
        """The logger's name, which nothing is stored under."""
        return ""

    @property
    @override
    def version(self) -> str:
        """The logger's version, which nothing is stored under."""
        return ""

    @override
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration lies beside the tables."""

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One row of the table that the names point to, one for each validation set; by one rank alone."""
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


class MetricLines(Callback):
    """A line of training metrics every ``every_steps``: mean losses since the last line, rate and speed.

    The line under way is part of a checkpoint, so that a resumed run writes the lines of an uninterrupted
    one.
    """

    def __init__(self, learner: Learner, *, every_steps: int) -> None:
        self._learner = learner
        self._names = learner.term_names
        self._every_steps = every_steps
        self._terms: list[Tensor] = []
        self._pictures = 0
        self._since = 0.0
        self._validating_since = 0.0

    @override
    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The clock starts."""
        self._since = time.monotonic()

    @override
    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Takes up the losses of the step, and writes the line when it is due."""
        terms = self._learner.terms
        self._terms.append(torch.stack([terms[name] for name in self._names]))
        self._pictures += len(batch.types) * trainer.world_size
        if trainer.global_step % self._every_steps == 0:
            write_everywhere(self._line(trainer), trainer=trainer)
            self._begin_line()

    def _line(self, trainer: lightning.Trainer) -> dict[str, float]:
        means = torch.stack([terms.cpu() for terms in self._terms]).mean(dim=0).tolist()
        line = {f"train/{name}": value for name, value in zip(self._names, means, strict=True)}
        line["train/learning_rate"] = max(float(one["lr"]) for one in trainer.optimizers[0].param_groups)
        line["train/pictures_per_second"] = self._pictures / max(time.monotonic() - self._since, 1e-9)
        return line

    def _begin_line(self) -> None:
        self._terms.clear()
        self._pictures = 0
        self._since = time.monotonic()

    @override
    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The clock stands still."""
        self._validating_since = time.monotonic()

    @override
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The clock goes on."""
        self._since += time.monotonic() - self._validating_since

    @override
    def state_dict(self) -> dict[str, Any]:
        """The losses of the line under way."""
        return {"terms": torch.stack(self._terms) if self._terms else torch.zeros(0, len(self._names))}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with that line; its speed is that of the pictures seen since."""
        self._terms = list(state_dict["terms"])


def write_everywhere(values: Mapping[str, float], *, trainer: lightning.Trainer) -> None:
    """``values`` at the trainer's step, in all of its loggers."""
    for logger in trainer.loggers:
        logger.log_metrics({**values, "epoch": float(trainer.current_epoch)}, step=trainer.global_step)


def write_scores(scores: Mapping[str, Scores], *, trainer: lightning.Trainer) -> None:
    """The scores of every validation set, in all loggers."""
    for name, found in scores.items():
        values = {f"validation/{name}/{field}": getattr(found, field) for field in found.__slots__}
        write_everywhere(values, trainer=trainer)


def _under(metrics: Mapping[str, float], *, prefix: str) -> dict[str, str | float]:
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


def _set_name(key: str) -> str:
    return key.removeprefix("validation/").rpartition("/")[0]
