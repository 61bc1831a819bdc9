"""A recipe and its sources to trained weights in a run folder; what was killed goes on where it stood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from typing_extensions import override

from supcam.core.types import ConfigError, TrainingError
from supcam.learn.batches import (
    Example,
    TrainingSources,
    pair_loader,
    reference_examples,
    training_loader,
    validation_loader,
)
from supcam.learn.checkpoints import FINETUNE, OWN_KEY, PRETRAIN, AtomicCheckpointIO, State, load_averaged
from supcam.learn.config import ScheduleConfig
from supcam.learn.encoder import Network, pretraining_network
from supcam.learn.finetune import Finetuning
from supcam.learn.history import MetricLines, TableLogger
from supcam.learn.kept_batches import drawing_of, used
from supcam.learn.pretrain import Pretraining
from supcam.learn.ranks import Share
from supcam.learn.recipe import Recipe
from supcam.learn.run_folder import CHECKPOINT, Identity, Start, identity_of, open_folder
from supcam.learn.scores import Scores
from supcam.learn.surroundings import quiet, set_threads, stopped_by_hand, threads_of


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder, its last checkpoint, its steps and the averaged network's last scores.

    ``first_step`` is where this call began: above 0 for an interrupted run, ``steps`` for a finished one.
    There are no scores of a run that was finished before, or of several processes: ``history.csv`` has them.
    """

    folder: Path
    checkpoint: Path
    steps: int
    scores: dict[str, Scores]
    first_step: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A step of learning made ready: what learns, from what, and what watches it.

    ``loader`` takes ``first_step`` and ``share``, and can be pickled.
    """

    learner: Finetuning | Pretraining
    loader: Callable[..., DataLoader[Any]]
    validation: Sequence[DataLoader[Any]]
    identity: Identity

    @property
    def config(self) -> ScheduleConfig:
        """How long and how fast."""
        return self.learner.config


def run_pretraining(
    recipe: Recipe, *, sources: TrainingSources, folder: Path, progress: bool = False, reuse: bool = False
) -> RunResult:
    """Step 1 by the recipe, into ``folder``; an interrupted run of the same recipe and data is taken up.

    With ``reuse`` a finished one is returned as it is. Raises ``ConfigError`` for a recipe without this step,
    ``TrainingError`` when the folder holds a finished run (without ``reuse``), another run, or anything else.
    """
    config = recipe.pretrain
    if config is None or sources.pretrain is None:
        raise ConfigError(
            "a recipe without a table [pretrain]",
            expected="one that says how to pre-train",
            remedy="add the table; [pretrain] alone takes the defaults",
        )
    require_device(config)
    network = pretraining_network(recipe.network, pretrain=config)
    if config.init_from is not None:
        load_averaged(network, path=Path(config.init_from))
    watched = [*sources.validation.values()]
    task = _Task(
        learner=Pretraining(network, config=config, validation_names=sources.validation),
        loader=partial(pair_loader, sources.pretrain, config=config, kept=_kept(recipe, config, sources)),
        validation=_loaders(
            [reference_examples(sources.pretrain, config=config), *watched] if watched else [], config
        ),
        identity=identity_of(recipe, step=PRETRAIN, data_hash=sources.data_hash),
    )
    return _run(task, folder=folder, progress=progress, reuse=reuse)


def run_finetuning(
    recipe: Recipe, *, sources: TrainingSources, folder: Path, progress: bool = False, reuse: bool = False
) -> RunResult:
    """Step 2 by the recipe, or its only one, into ``folder``; an interrupted run is taken up.

    It starts from ``train.init_from``, else from weights drawn by chance. With ``reuse`` a finished one is
    returned as it is. Raises ``TrainingError`` when the folder holds a finished run (without ``reuse``),
    another run, or anything else, and for a start that does not fit.
    """
    config = recipe.train
    require_device(config)
    network = Network(recipe.network, seed=config.seed)
    if config.init_from is not None:
        load_averaged(network, path=Path(config.init_from))
    task = _Task(
        learner=Finetuning(network, config=config, validation_names=sources.validation),
        loader=partial(training_loader, sources.train, config=config, kept=_kept(recipe, config, sources)),
        validation=_loaders(sources.validation.values(), config),
        identity=identity_of(recipe, step=FINETUNE, data_hash=sources.data_hash),
    )
    return _run(task, folder=folder, progress=progress, reuse=reuse)


def _kept(recipe: Recipe, schedule: ScheduleConfig, sources: TrainingSources) -> Path | None:
    """Where the batches of a step of ``recipe`` are kept, if they are."""
    if sources.kept_in is None:
        return None
    step = PRETRAIN if schedule is recipe.pretrain else FINETUNE
    name = drawing_of(recipe, step=step, schedule=schedule, data_hash=sources.data_hash)
    return used(sources.kept_in / name)


def require_device(config: ScheduleConfig) -> None:
    """Nothing, when the machine has what ``config`` asks for. Raises ``TrainingError``."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device", expected="a GPU", remedy="set device to auto or cpu")
    there, asked = torch.cuda.device_count(), config.devices
    needed = asked if isinstance(asked, int) else max(asked) + 1
    if config.device != "cpu" and 0 < there < needed:
        raise TrainingError(
            f"{there} CUDA devices",
            expected=f"{needed} of them, or more",
            remedy="set devices to what is there",
        )


def _loaders(sets: Iterable[Sequence[Example]], config: ScheduleConfig) -> list[DataLoader[Any]]:
    return [validation_loader(examples, batch_size=config.batch_size) for examples in sets]


def _run(task: _Task, *, folder: Path, progress: bool, reuse: bool = False) -> RunResult:
    start = open_folder(folder, identity=task.identity, total_steps=task.config.total_steps)
    if start.is_finished:
        if reuse:
            return RunResult(folder, folder / CHECKPOINT, steps=start.step, scores={}, first_step=start.step)
        raise TrainingError(
            f"a finished run of {start.step} steps",
            expected="a new folder or an interrupted run",
            remedy="name another output folder",
            where=folder,
        )
    callbacks = _callbacks(task, folder=folder, progress=progress)
    with quiet(), threads_of(task.config.threads):
        trainer = _trainer(task, folder=folder, start=start, callbacks=callbacks)
        with stopped_by_hand(trainer):
            trainer.fit(
                task.learner,
                datamodule=_Batches(task, first_step=start.step),
                ckpt_path=start.checkpoint,
                weights_only=True,
            )
    return RunResult(
        folder=folder,
        checkpoint=folder / CHECKPOINT,
        steps=task.config.total_steps,
        scores=task.learner.scores,
        first_step=start.step,
    )


class _Batches(lightning.LightningDataModule):
    """What every process draws from: its share of the batches, and all of the validation sets."""

    def __init__(self, task: _Task, *, first_step: int) -> None:
        super().__init__()
        self._loader = task.loader
        self._validation = [*task.validation]
        self._threads = task.config.threads
        self._first_step = first_step

    @override
    def setup(self, stage: str) -> None:
        """In each process: the threads that the recipe names."""
        set_threads(self._threads)

    @override
    def train_dataloader(self) -> DataLoader[Any]:
        """The process's share of every batch from the first step on."""
        assert self.trainer is not None
        share = Share(rank=self.trainer.global_rank, ranks=self.trainer.world_size)
        return self._loader(first_step=self._first_step, share=share)

    @override
    def val_dataloader(self) -> list[DataLoader[Any]]:
        """The validation sets, each of them whole."""
        return self._validation


def _trainer(task: _Task, *, folder: Path, start: Start, callbacks: list[Callback]) -> lightning.Trainer:
    table = TableLogger(folder, terms=task.learner.term_names)
    table.cut_after(start.step)
    board = TensorBoardLogger(
        folder, name="", version="tensorboard", default_hp_metric=False, purge_step=start.step + 1
    )
    config = task.config
    return lightning.Trainer(
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[config.device],
        devices=config.devices if isinstance(config.devices, int) else [*config.devices],
        strategy="ddp_spawn" if config.strategy == "auto" and config.n_processes > 1 else config.strategy,
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


def _callbacks(task: _Task, *, folder: Path, progress: bool) -> list[Callback]:
    """Saving comes after the line of metrics, so that a checkpoint knows whether its line is written."""
    always: list[Callback] = [
        MetricLines(task.learner, every_steps=task.config.log_every_steps),
        _Saving(folder / CHECKPOINT, config=task.config, identity=task.identity),
    ]
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

    def __init__(self, path: Path, *, config: ScheduleConfig, identity: Identity) -> None:
        self._path = path
        self._config = config
        self._identity = identity

    @override
    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """In the middle of an epoch; its last step is saved when the epoch is over."""
        step = trainer.global_step
        if step % self._config.checkpoint_every_steps == 0 and step % self._config.steps_per_epoch:
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
