"""Step 1 by one process and by two that share every batch; no norm of the network depends on its batch."""

from __future__ import annotations

import os
import socket
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from tests.tiny_training import Stripes, two_steps
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.utils.data import DataLoader, Dataset

from supcam.learn.batches import PairBatch, PairBatches
from supcam.learn.config import PretrainConfig
from supcam.learn.encoder import PretrainingNetwork
from supcam.learn.pretrain import Pretraining

RANKS = 2
STEPS = 5

State = dict[str, Tensor]


class UnitHead(nn.Module):
    """A layer, then length 1: no norm that looks at the batch."""

    def __init__(self, dim: int, *, projection_dim: int) -> None:
        super().__init__()
        self.layer = nn.Linear(dim, projection_dim)

    def forward(self, embedding: Tensor) -> Tensor:
        return nn.functional.normalize(self.layer(embedding), dim=1)


def group_normed(config: PretrainConfig) -> PretrainingNetwork:
    """Two convolutions with norms over groups of channels; for cross-entropy with a head that names types."""
    torch.manual_seed(config.seed)
    layers: list[nn.Module] = []
    for given, made in ((1, 8), (8, 16)):
        layers += [nn.Conv2d(given, made, 3, stride=2, bias=False), nn.GroupNorm(2, made), nn.ReLU()]
    dim = config.projection_dim
    head = nn.Linear(16, 4) if config.method == "cross_entropy" else UnitHead(16, projection_dim=dim)
    return PretrainingNetwork(nn.Sequential(*layers), head=head)


def config_of(method: str) -> PretrainConfig:
    """Five steps of eight pictures."""
    recipe = two_steps(method=method, epochs=1, pictures_per_epoch=8 * STEPS, queue_slots=24)
    assert recipe.pretrain is not None
    return recipe.pretrain


class Shares(Dataset[PairBatch]):
    """The pairs of every step that one rank looks at."""

    def __init__(self, config: PretrainConfig, *, rank: int, ranks: int) -> None:
        self.batches = PairBatches(Stripes(), config=config)
        self.rank, self.ranks = rank, ranks

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> PairBatch:
        whole = self.batches[step]
        queries, keys, types = (part.chunk(self.ranks)[self.rank] for part in whole[:3])
        return PairBatch(queries=queries, keys=keys, types=types, step=whole.step)


def learn(method: str, *, strategy: Strategy | None = None, rank: int = 0) -> State:
    """The state that a rank ends with; alone without a strategy."""
    torch.set_num_threads(1)
    config, ranks = config_of(method), 1 if strategy is None else RANKS
    learner = Pretraining(group_normed(config), config=config)
    trainer = lightning.Trainer(
        accelerator="cpu", devices=ranks, strategy=strategy or SingleDeviceStrategy(device="cpu"),
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    shares = Shares(config, rank=rank, ranks=ranks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on how to be fast
        trainer.fit(learner, train_dataloaders=DataLoader(shares, batch_size=None, collate_fn=_as_it_is))
    return {name: value.clone() for name, value in learner.state_dict().items()}


def _as_it_is(batch: Any) -> Any:  # noqa: ANN401 (one for all loaders)
    return batch


def learn_together(methods: tuple[str, ...], *, folder: Path) -> list[dict[str, State]]:
    """The states of both ranks, by method."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_learn_as, args=(methods, str(folder), port), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


def _learn_as(rank: int, methods: tuple[str, ...], folder: str, port: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank)}
    states = {}
    for method in methods:
        strategy = DDPStrategy(process_group_backend="gloo", cluster_environment=LightningEnvironment())
        states[method] = learn(method, strategy=strategy, rank=rank)
    torch.save(states, Path(folder) / f"{rank}.pt")
