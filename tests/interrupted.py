"""Tiny runs of either step that are stopped or killed, and what they end with.

``python -m tests.interrupted pretrain|finetune FOLDER WORKERS STEP`` trains, and is killed with SIGKILL when
``STEP`` begins.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny_training import same, tiny_recipe, tiny_sources, two_steps

from supcam.learn.checkpoints import FINETUNE, OWN_KEY, PRETRAIN, read_checkpoint
from supcam.learn.finetune import Finetuning
from supcam.learn.pretrain import Pretraining
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult, run_finetuning, run_pretraining

ROOT = Path(__file__).resolve().parents[1]
STEPS = 30
"""Steps of the tiny recipes, either table."""
LEARNERS: dict[str, type[Finetuning | Pretraining]] = {PRETRAIN: Pretraining, FINETUNE: Finetuning}


class StoppedError(Exception):
    """What stops a run in these tests."""


def run_step(name: str, *, folder: Path, recipe: Recipe | None = None, workers: int = 0) -> RunResult:
    """A tiny run of one step of learning."""
    if name == PRETRAIN:
        recipe = recipe or two_steps(workers=workers)
        return run_pretraining(recipe, sources=tiny_sources(), folder=folder)
    return run_finetuning(recipe or tiny_recipe(workers=workers), sources=tiny_sources(), folder=folder)


def stop_at(
    step: int,
    *,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException] = StoppedError,
    of: str = FINETUNE,
) -> None:
    """Runs of a step of learning come no further than the start of ``step``."""

    def stop() -> None:
        raise error

    monkeypatch.setattr(LEARNERS[of], "on_train_batch_start", _until(step, of=of, end=stop))


def _until(step: int, *, of: str, end: Callable[[], None]) -> Callable[..., None]:
    begin = LEARNERS[of].on_train_batch_start

    def begin_or_end(self: Any, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        if self.global_step == step:
            end()
        begin(self, batch, batch_idx)

    return begin_or_end


def interrupted(folder: Path, *, step: int, recipe: Recipe | None = None, of: str = FINETUNE) -> None:
    """A run in ``folder`` that was stopped at the start of ``step``."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_at(step, monkeypatch=monkeypatch, of=of)
        with pytest.raises(StoppedError):
            run_step(of, folder=folder, recipe=recipe)


def killed(folder: Path, *, step: int, workers: int, of: str = FINETUNE) -> None:
    """A run in ``folder`` whose process got SIGKILL at the start of ``step``."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.interrupted", of, str(folder), str(workers), str(step)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a table without the one column that a clock fills."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{name: value for name, value in row.items() if name != "pictures_per_second"} for row in rows]


def ending(folder: Path) -> dict[str, Any]:
    """All that a run ends with: weights, averages, queue, optimizer, schedule, position."""
    return {
        key: value
        for key, value in read_checkpoint(folder / "checkpoints/last.ckpt").items()
        if key != OWN_KEY
    }


def assert_same_ending(folder: Path, *, other: Path) -> None:
    """Both runs went all the way and ended with the same bits and the same tables."""
    ours, theirs = ending(folder), ending(other)
    assert ours["global_step"] == STEPS
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not same(ours[key], theirs[key])] == []
    for name in ("metrics.csv", "history.csv"):
        assert table(folder / name) == table(other / name)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _main(of: str, *, folder: Path, workers: int, step: int) -> None:
    torch.set_num_threads(1)
    LEARNERS[of].on_train_batch_start = _until(step, of=of, end=_kill)  # type: ignore[method-assign]
    run_step(of, folder=folder, workers=workers)


if __name__ == "__main__":
    _main(sys.argv[1], folder=Path(sys.argv[2]), workers=int(sys.argv[3]), step=int(sys.argv[4]))
