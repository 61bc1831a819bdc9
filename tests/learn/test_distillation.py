"""Learning from a teacher: closed forms, masks, and a pupil that becomes like its teacher."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, tiny_recipe, tiny_sources

from supcam.core.types import TrainingError
from supcam.learn.batches import Batch, stack
from supcam.learn.checkpoints import load_network, read_checkpoint
from supcam.learn.config import NetworkConfig, TrainConfig
from supcam.learn.distillation import Teacher, distillation_loss
from supcam.learn.encoder import NetworkOutput
from supcam.learn.run import run_finetuning


def output(types: torch.Tensor, *, counts: torch.Tensor, chromosome: torch.Tensor) -> NetworkOutput:
    n = len(types)
    return NetworkOutput(types, counts, chromosome, torch.zeros(n, 2), torch.zeros(n, 4, 1, 1))


def drawn(seed: int, *, n: int = 5) -> NetworkOutput:
    rng = torch.Generator().manual_seed(seed)
    return output(
        torch.randn(n, 4, generator=rng),
        counts=torch.randn(n, 3, generator=rng),
        chromosome=torch.randn(n, 1, generator=rng),
    )


def labels(chromosomes: list[int]) -> Batch:
    n = len(chromosomes)
    unknown = torch.full((n,), -1)
    return Batch(torch.zeros(n, 1, 8, 8), unknown, unknown, torch.tensor(chromosomes))


def plain(pupil: NetworkOutput, taught: NetworkOutput, *, batch: Batch, config: TrainConfig) -> float:
    """The same by loops over pictures and classes."""
    soft = config.teacher_temperature

    def shares(logits: torch.Tensor) -> list[float]:
        powers = [math.exp(value / soft) for value in logits.tolist()]
        return [power / sum(powers) for power in powers]

    def divergence(name: str) -> float:
        rows = [i for i, is_one in enumerate(batch.chromosomes.tolist()) if is_one]
        total = 0.0
        for i in rows:
            p, q = shares(getattr(taught, name)[i]), shares(getattr(pupil, name)[i])
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        return soft**2 * total / max(1, len(rows))

    crossed = 0.0
    for said, meant in zip(pupil.chromosome_logit, taught.chromosome_logit, strict=True):
        p, q = (1 / (1 + math.exp(-float(logit))) for logit in (meant, said))
        crossed -= (p * math.log(q) + (1 - p) * math.log(1 - q)) / len(pupil.chromosome_logit)
    return (
        divergence("type_logits")
        + config.count_weight * divergence("count_logits")
        + config.chromosome_weight * crossed
    )


@pytest.mark.parametrize("softness", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("chromosomes", [[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
def test_loss_is_that_of_plain_loops(softness: float, chromosomes: list[int]) -> None:
    config = TrainConfig(teacher="t.ckpt", teacher_temperature=softness, count_weight=0.7)
    batch = labels(chromosomes)
    found = distillation_loss(drawn(1), taught=drawn(2), batch=batch, config=config)
    assert float(found) == pytest.approx(plain(drawn(1), drawn(2), batch=batch, config=config), rel=1e-5)


def test_who_says_the_same_has_nothing_to_learn_of_types_and_numbers() -> None:
    config = TrainConfig(teacher="t.ckpt", chromosome_weight=0.0)
    same = drawn(3)
    loss = distillation_loss(same, taught=same, batch=labels([1] * 5), config=config)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_no_gradient_reaches_the_teacher(tmp_path: Path) -> None:
    first = run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "first")
    network = load_network(first.checkpoint).network
    teacher = Teacher(first.checkpoint, max_count=network.count_head.out_features)
    batch = stack([Stripes().draw(np.random.default_rng(i)) for i in range(4)])
    assert not any(value.requires_grad for value in teacher(batch.pictures))


def test_gradient_is_the_closed_form() -> None:
    """Of softened answers q towards p: softness times (q - p), a mean over chromosomes."""
    config = TrainConfig(teacher="t.ckpt", teacher_temperature=3.0, count_weight=0, chromosome_weight=0)
    pupil, taught = drawn(1), drawn(2)
    logits = pupil.type_logits.requires_grad_()
    distillation_loss(pupil, taught=taught, batch=labels([1, 0, 1, 1, 1]), config=config).backward()
    p, q = ((each.type_logits / 3).softmax(1) for each in (taught, pupil))
    assert logits.grad is not None
    rows = [0, 2, 3, 4]
    torch.testing.assert_close(logits.grad[rows], (3 * (q - p) / 4)[rows].detach())
    assert not logits.grad[1].any()


def test_a_run_writes_down_how_far_it_is_from_its_teacher(tmp_path: Path) -> None:
    first = run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "first")
    taught = tiny_recipe(epochs=1, teacher=str(first.checkpoint), teacher_share=0.5, log_every_steps=1)
    run_finetuning(taught, sources=tiny_sources(), folder=tmp_path / "second")
    lines = [line.split(",") for line in (tmp_path / "second" / "metrics.csv").read_text().splitlines()]
    place = lines[0].index("teacher")
    assert all(float(line[place]) > 0 for line in lines[1:])


def test_the_teacher_is_no_part_of_the_checkpoint(tmp_path: Path) -> None:
    first = run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "first")
    taught = tiny_recipe(epochs=1, teacher=str(first.checkpoint))
    second = run_finetuning(taught, sources=tiny_sources(), folder=tmp_path / "second")
    plain_keys, taught_keys = (
        set(read_checkpoint(result.checkpoint)["state_dict"]) for result in (first, second)
    )
    assert plain_keys == taught_keys


def test_a_teacher_that_counts_otherwise_is_refused(tmp_path: Path) -> None:
    first = run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "first")
    with pytest.raises(TrainingError, match="counts to"):
        Teacher(first.checkpoint, max_count=NetworkConfig().max_count + 1)
