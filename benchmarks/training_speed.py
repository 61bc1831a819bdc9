"""How long is a step of step 1? Beside the same network with parts of lightly and pytorch-metric-learning.

    python -m benchmarks.training_speed

Every side takes the same batches of drawn pairs, with the network, batch and optimiser of the recipe, in this
process and one thread: ``supcam`` in Lightning's Trainer, with all that a run does in a step (margin, queue,
momentum encoder, averaged weights, gradient told and shortened); the others by a bare loop of encoder,
momentum encoder, loss with its own memory, AdamW. Sides take turns. Then the same training draws its pairs in
a worker, and the share of its time that it waits for them is told. Run it on a machine that does nothing
else: the load is written down.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch
from benchmarks.analyze_speed import machine
from lightly.loss import NTXentLoss
from lightly.models.utils import update_momentum
from pytorch_metric_learning.losses import CrossBatchMemory, SupConLoss
from torch.utils.data import DataLoader

import supcam
from supcam.learn.batches import ExampleSource, PairBatch, PairBatches, pair_loader
from supcam.learn.config import PretrainConfig
from supcam.learn.drawn import drawn_sources
from supcam.learn.encoder import PretrainingNetwork, pretraining_network
from supcam.learn.pretrain import Pretraining
from supcam.learn.recipe import Recipe, read_recipe

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
PACKAGES = ("torch", "lightning", "timm", "lightly", "pytorch-metric-learning")
MOMENTUM = 0.99
WARM_UP = 3
"""Steps that are not counted: memory is fetched in them."""


@dataclass
class Clock(lightning.Callback):
    """When every step began and ended."""

    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def on_train_batch_start(self, *_: Any) -> None:  # noqa: ANN401  Lightning's own types
        """A step begins."""
        self.begun.append(time.perf_counter())

    def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401
        """It has ended."""
        self.ended.append(time.perf_counter())

    def steps_s(self) -> list[float]:
        """Seconds of each step, without what it waited for."""
        return [end - start for start, end in zip(self.begun, self.ended, strict=True)][WARM_UP:]

    def waited(self) -> float:
        """The share of the time between first and last step that was spent between steps."""
        gaps = [start - end for start, end in zip(self.begun[1:], self.ended[:-1], strict=True)][WARM_UP:]
        return sum(gaps) / (sum(gaps) + sum(self.steps_s()))


def trained(config: PretrainConfig, *, network: PretrainingNetwork, batches: DataLoader[Any]) -> Clock:
    """The clock of a run of ``supcam`` over these batches."""
    clock = Clock()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(Pretraining(copy.deepcopy(network), config=config), batches)
    return clock


def looped(
    config: PretrainConfig,
    *,
    network: PretrainingNetwork,
    batches: Sequence[PairBatch],
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> list[float]:
    """Seconds of each step of a bare loop: queries, keys, loss, optimiser, momentum encoder."""
    encoder, follower = copy.deepcopy(network).train(), copy.deepcopy(network).requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    seconds = []
    for batch in batches:
        start = time.perf_counter()
        with torch.no_grad():
            keys = follower(batch.keys)
        total = loss(encoder(batch.queries), keys, batch.types)
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), config.gradient_clip)
        optimizer.step()
        update_momentum(encoder, follower, m=MOMENTUM)
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def lightly_loss(config: PretrainConfig) -> Callable[..., torch.Tensor]:
    """Instance contrast with lightly's memory bank; it knows no types."""
    loss = NTXentLoss(config.temperature, memory_bank_size=(config.queue_slots, config.projection_dim))
    return lambda queries, keys, _types: loss(queries, keys)


def metric_learning_loss(config: PretrainConfig) -> Callable[..., torch.Tensor]:
    """Supervised contrast with pytorch-metric-learning's memory of keys across batches."""
    inner = SupConLoss(config.temperature)
    loss = CrossBatchMemory(inner, embedding_size=config.projection_dim, memory_size=config.queue_slots)

    def taken(queries: torch.Tensor, keys: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        is_key = torch.arange(2 * len(keys)) >= len(keys)
        embeddings, labels = torch.cat([queries, keys]), torch.cat([types, types])
        return torch.as_tensor(loss(embeddings, labels, enqueue_mask=is_key))

    return taken


def prepared(path: Path, *, steps: int) -> tuple[Recipe, ExampleSource]:
    """The recipe at ``path`` for ``steps`` steps on drawn chromosomes, and those."""
    wanted, drawn = read_recipe(path), read_recipe(EXPERIMENTS / "smoke_supcam.toml")
    assert wanted.pretrain is not None
    schedule = {"epochs": 1, "pictures_per_epoch": steps * wanted.pretrain.batch_size, "init_from": None}
    recipe = drawn.model_copy(
        update={
            "network": wanted.network,
            "crop": wanted.crop,
            "pretrain": wanted.pretrain.model_copy(update=schedule),
        }
    )
    source = drawn_sources(recipe).pretrain
    assert source is not None
    return recipe, source


def rounds_of(recipe: Recipe, source: ExampleSource, *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step of every side, the median of each round."""
    config = recipe.pretrain
    assert config is not None
    network = pretraining_network(recipe.network, pretrain=config)
    pairs = PairBatches(source, config=config)
    batches = [pairs[step] for step in range(config.total_steps)]
    in_memory: DataLoader[Any] = DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)  # type: ignore[arg-type]
    plain = config.model_copy(update={"margin_rad": 0.0})
    sides: dict[str, Callable[[], list[float]]] = {
        "supcam": lambda: trained(config, network=network, batches=in_memory).steps_s(),
        "supcam, no margin": lambda: trained(plain, network=network, batches=in_memory).steps_s(),
        "lightly": lambda: looped(config, network=network, batches=batches, loss=lightly_loss(config)),
        "pytorch-metric-learning": lambda: looped(
            config, network=network, batches=batches, loss=metric_learning_loss(config)
        ),
    }
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            seen[name].append(1000 * statistics.median(run()))
    return seen


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    named = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training_speed.json"))
    parser.add_argument("--recipe", type=Path, default=EXPERIMENTS / "default" / "contrast.toml")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about = machine()
    torch.set_num_threads(1)
    recipe, source = prepared(options.recipe, steps=options.steps)
    config = recipe.pretrain
    assert config is not None
    seen = rounds_of(recipe, source, rounds=options.rounds)
    network = pretraining_network(recipe.network, pretrain=config)
    clock = trained(config, network=network, batches=pair_loader(source, config=config))
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.training_speed", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "recipe": options.recipe.name,
        "batch_size": config.batch_size,
        "size_px": recipe.crop.size_px,
        "step_ms": {name: spread(values) for name, values in seen.items()},
        "supcam_against": {
            name: spread([ours / theirs for ours, theirs in zip(seen["supcam"], seen[name], strict=True)])
            for name in ("lightly", "pytorch-metric-learning")
        },
        "share_waiting": round(clock.waited(), 4),
        "workers": config.workers,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
