"""A recipe and its sources to a trained network in a run folder; what was killed goes on where it stood."""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import lightning
import numpy as np
import timm
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from supcam.core.types import TrainingError
from supcam.learn.batches import TrainingSources, training_loader, validation_loader
from supcam.learn.checkpoints import (
    FORMAT_VERSION,
    OWN_KEY,
    AtomicCheckpointIO,
    State,
    load_averaged,
    read_checkpoint,
)
from supcam.learn.encoder import Network
from supcam.learn.finetune import Finetuning
from supcam.learn.history import MetricLines, TableLogger
from supcam.learn.recipe import Recipe
from supcam.learn.scores import Scores

CONFIG = "config.json"
CHECKPOINT = Path("checkpoints") / "last.ckpt"
_MADE_WITH = "made_with"

_EXPECTED_WARNINGS = (
    "You're resuming from a checkpoint that ended before the epoch ended",  # our loader goes on there
    "The '.*dataloader' does not have many workers",  # the recipe says how many
    "The number of training batches .* is smaller than the logging interval",  # a matter of the recipe, too
    "You defined a `validation_step` but have no `val_dataloader`",  # a recipe may do without
    "`isinstance.treespec, LeafSpec.` is deprecated",  # Lightning's own use of torch
    "Found .* module.* in eval mode at the start of training",  # the averaged network after validation
)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder, its last checkpoint, its steps and the averaged network's last scores."""

    folder: Path
    checkpoint: Path
    steps: int
    scores: dict[str, Scores]


@dataclass(frozen=True, slots=True)
class _Start:
    """What a run folder holds for its run: nothing yet (step 0), or a checkpoint to go on from."""

    step: int
    checkpoint: Path | None


def run(recipe: Recipe, *, sources: TrainingSources, folder: Path, progress: bool = False) -> RunResult:
    """Trains by the recipe, into ``folder``; an interrupted run of the same recipe and data is taken up.

    Raises ``TrainingError`` when the folder holds a finished run, another run, or anything else.
    """
    if recipe.train.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device", expected="a GPU", remedy="set device to auto or cpu in [train]")
    network = Network(recipe.network, seed=recipe.train.seed)
    if recipe.train.init_from is not None:
        load_averaged(network, path=Path(recipe.train.init_from))
    learner = Finetuning(network, config=recipe.train, validation_names=sources.validation)
    identity = _identity(recipe, data_hash=sources.data_hash)
    start = _start(folder, identity=identity, total_steps=recipe.train.total_steps)
    saving = _Saving(folder / CHECKPOINT, identity=identity)
    callbacks = _callbacks(recipe, saving=saving, progress=progress)
    with _quiet(), _threads(recipe.train.threads):
        trainer = _trainer(recipe, folder=folder, start=start, callbacks=callbacks)
        _fit(trainer, learner=learner, sources=sources, start=start)
    return RunResult(
        folder=folder, checkpoint=folder / CHECKPOINT, steps=trainer.global_step, scores=learner.scores
    )


def _fit(trainer: lightning.Trainer, *, learner: Finetuning, sources: TrainingSources, start: _Start) -> None:
    config = learner.config
    loaders = [
        validation_loader(examples, batch_size=config.batch_size) for examples in sources.validation.values()
    ]
    with _stopped_by_hand(trainer):
        trainer.fit(
            learner,
            train_dataloaders=training_loader(sources.train, config=config, first_step=start.step),
            val_dataloaders=loaders or None,
            ckpt_path=start.checkpoint,
            weights_only=True,
        )


@contextmanager
def _stopped_by_hand(trainer: lightning.Trainer) -> Generator[None]:
    """Ctrl-C is ``KeyboardInterrupt`` as everywhere; Lightning turns it into an exit and then ignores it."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if trainer.received_sigterm:
            raise
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from stop


def _identity(recipe: Recipe, *, data_hash: str) -> dict[str, object]:
    """All that decides what a run ends with, as JSON."""
    start = recipe.train.init_from
    return {
        "format_version": FORMAT_VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "data_hash": data_hash,
        "init_sha256": None if start is None else _sha256(Path(start)),
    }


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainingError(
            str(error), expected="a readable checkpoint", remedy="correct train.init_from", where=path
        ) from error


def _start(folder: Path, *, identity: dict[str, object], total_steps: int) -> _Start:
    """Where the run begins; a new folder gets its ``config.json`` first."""
    config = folder / CONFIG
    if not config.exists():
        _claim(folder, identity=identity)
        return _Start(step=0, checkpoint=None)
    _require_same(_read_identity(config), identity=identity, where=folder)
    checkpoint = folder / CHECKPOINT
    if not checkpoint.exists():
        return _Start(step=0, checkpoint=None)
    step = int(read_checkpoint(checkpoint)["global_step"])
    if step >= total_steps:
        raise TrainingError(
            f"a finished run of {step} steps",
            expected="a new folder or an interrupted run",
            remedy="name another output folder",
            where=folder,
        )
    return _Start(step=step, checkpoint=checkpoint)


def _claim(folder: Path, *, identity: dict[str, object]) -> None:
    """An empty folder becomes the run's own."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{CONFIG}.unfinished"
    if any(item != unfinished for item in folder.iterdir()):
        raise TrainingError(
            f"files, but no {CONFIG}",
            expected="a new, an empty or a run's folder",
            remedy="name another output folder",
            where=folder,
        )
    written = {**identity, _MADE_WITH: _versions()}
    unfinished.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / CONFIG)


def _versions() -> dict[str, str]:
    """What the run was begun with; another version may compute other bits."""
    return {module.__name__: str(module.__version__) for module in (torch, lightning, timm, np, cv2)}


def _read_identity(path: Path) -> dict[str, object]:
    """What ``config.json`` says the run is."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            str(error), expected="the JSON of a run", remedy="name another output folder", where=path
        ) from error
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if key != _MADE_WITH}


def _require_same(found: dict[str, object], *, identity: dict[str, object], where: Path) -> None:
    """Nothing, when the folder's run is this one. Else raises ``TrainingError`` that names what differs."""
    old, new = _flat(found), _flat(identity)
    different = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if different:
        raise TrainingError(
            f"another run, which differs in {', '.join(different)}",
            expected="the same recipe and data",
            remedy="name another output folder, or go back to the recipe that the run was begun with",
            where=where,
        )


def _flat(value: object, *, name: str = "") -> dict[str, object]:
    """Nested tables as one with dotted keys."""
    if not isinstance(value, dict):
        return {name: value}
    parts = [_flat(item, name=f"{name}.{key}" if name else key) for key, item in value.items()]
    return {key: item for part in parts for key, item in part.items()}


def _trainer(recipe: Recipe, *, folder: Path, start: _Start, callbacks: list[Callback]) -> lightning.Trainer:
    table = TableLogger(folder)
    table.cut_after(start.step)
    board = TensorBoardLogger(
        folder, name="", version="tensorboard", default_hp_metric=False, purge_step=start.step + 1
    )
    config = recipe.train
    return lightning.Trainer(
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[config.device],
        devices=1,
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        max_epochs=config.epochs,
        logger=[table, board],
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        log_every_n_steps=config.log_every_steps,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, RichProgressBar) for callback in callbacks),
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def _callbacks(recipe: Recipe, *, saving: _Saving, progress: bool) -> list[Callback]:
    """Saving comes after the line of metrics, so that a checkpoint knows whether its line is written."""
    always: list[Callback] = [MetricLines(recipe.train.log_every_steps), saving]
    return [*always, _Progress()] if progress else always


class _Progress(RichProgressBar):
    """Lightning's progress bar without its version number of the loggers' folder."""

    @override
    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands behind the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}


class _Saving(Callback):
    """A checkpoint every N steps and at the end of every epoch, after its validation."""

    def __init__(self, path: Path, *, identity: dict[str, object]) -> None:
        self._path = path
        self._identity = identity

    @override
    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """In the middle of an epoch; its last step is saved when the epoch is over."""
        assert isinstance(pl_module, Finetuning)
        config = pl_module.config
        step = trainer.global_step
        if step % config.checkpoint_every_steps == 0 and step % config.steps_per_epoch:
            trainer.save_checkpoint(self._path)

    @override
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """With the epoch's scores written: a run whose last step is saved is finished."""
        trainer.save_checkpoint(self._path)

    @override
    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: State
    ) -> None:
        """Adds the recipe and the data's hash."""
        checkpoint[OWN_KEY] = self._identity


@contextmanager
def _threads(threads: int) -> Generator[None]:
    """The given number of threads for torch and OpenCV, and what they had before afterwards."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


@contextmanager
def _quiet() -> Generator[None]:
    """Without Lightning's notes about devices, and its warnings about what is meant here."""
    notes = logging.getLogger("lightning.pytorch")
    level = notes.level
    notes.setLevel(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        notes.setLevel(level)
