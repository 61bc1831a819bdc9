"""The classifier's loss, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from supcam.learn.batches import Batch
from supcam.learn.classification import classification_loss, type_cross_entropy, weak_loss
from supcam.learn.config import TrainConfig
from supcam.learn.encoder import NetworkOutput

CLASSES = 5


def drawn_output(n: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> NetworkOutput:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return (2 * torch.randn(*shape, generator=generator)).to(dtype).requires_grad_()

    return NetworkOutput(draw(n, 4), draw(n, CLASSES), draw(n, 1), draw(n, 8), draw(n, 4, 1, 1))


def labelled(types: list[int], counts: list[int], chromosomes: list[int]) -> Batch:
    return Batch(
        pictures=torch.zeros(len(types), 1, 4, 4),
        types=torch.tensor(types),
        counts=torch.tensor(counts),
        chromosomes=torch.tensor(chromosomes),
    )


def log_softmax(logits: list[float], place: int) -> float:
    return logits[place] - math.log(sum(math.exp(value) for value in logits))


def test_loss_agrees_with_plain_loops() -> None:
    types, counts, chromosomes = [0, 3, -1, 1, 2, -1], [1, 9, 2, -1, 5, -1], [1, 1, 1, 1, 1, 0]
    output = drawn_output(6)
    config = TrainConfig(label_smoothing=0.1, count_weight=0.3, chromosome_weight=0.2)
    type_losses, count_losses, chromosome_losses = [], [], []
    for row in range(6):
        logits, many = output.type_logits[row].tolist(), output.count_logits[row].tolist()
        if types[row] >= 0:
            right, all_ = log_softmax(logits, types[row]), [log_softmax(logits, place) for place in range(4)]
            type_losses.append(-(0.9 * right + 0.1 * sum(all_) / 4))
        if counts[row] >= 0:
            count_losses.append(-log_softmax(many, min(counts[row], CLASSES) - 1))
        sign = 1 if chromosomes[row] else -1
        chromosome_losses.append(math.log1p(math.exp(-sign * output.chromosome_logit[row, 0].item())))
    expected = [float(np.mean(losses)) for losses in (type_losses, count_losses, chromosome_losses)]
    terms = classification_loss(output, batch=labelled(types, counts, chromosomes), config=config)
    assert [terms.type.item(), terms.count.item(), terms.chromosome.item()] == pytest.approx(
        expected, rel=1e-5
    )
    assert terms.total.item() == pytest.approx(expected[0] + 0.3 * expected[1] + 0.2 * expected[2], rel=1e-5)


def test_debris_alone_teaches_the_chromosome_head_only() -> None:
    output = drawn_output(3)
    terms = classification_loss(
        output, batch=labelled([-1] * 3, [-1] * 3, [0] * 3), config=TrainConfig(chromosome_weight=0.2)
    )
    torch.autograd.backward(terms.total)
    assert (terms.type.item(), terms.count.item()) == (0.0, 0.0)
    assert terms.total.item() == pytest.approx(0.2 * terms.chromosome.item())
    gradients = [leaf.grad for leaf in (output.type_logits, output.count_logits, output.chromosome_logit)]
    assert all(gradient is not None for gradient in gradients)
    assert [bool(gradient.any()) for gradient in gradients if gradient is not None] == [False, False, True]


def test_unlabelled_examples_do_not_thin_the_loss_of_the_others() -> None:
    output = drawn_output(4)
    first = NetworkOutput(*(value[:1] for value in output))
    config = TrainConfig()
    among_others = classification_loss(
        output, batch=labelled([2, -1, -1, -1], [3, -1, -1, -1], [1] * 4), config=config
    )
    alone = classification_loss(first, batch=labelled([2], [3], [1]), config=config)
    torch.testing.assert_close(among_others.type, alone.type)
    torch.testing.assert_close(among_others.count, alone.count)


@pytest.mark.parametrize(("count", "place"), [(1, 0), (4, 3), (5, 4), (6, 4), (46, 4)])
def test_count_class_is_the_count_less_one_up_to_the_last(count: int, place: int) -> None:
    output = drawn_output(1)
    loss = classification_loss(output, batch=labelled([1], [count], [1]), config=TrainConfig()).count
    assert loss.item() == pytest.approx(-log_softmax(output.count_logits[0].tolist(), place), rel=1e-5)


def test_loss_is_float32_under_bfloat16_autocast() -> None:
    batch = labelled([0, 1, 2, 3], [1, 2, 2, 4], [1] * 4)
    rounded = drawn_output(4, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = classification_loss(rounded, batch=batch, config=TrainConfig())
    exact = NetworkOutput(*(value.detach().float() for value in rounded))
    outside = classification_loss(exact, batch=batch, config=TrainConfig())
    assert terms.total.dtype == torch.float32
    assert torch.equal(terms.total, outside.total)


# ---- what a number says about the type


def test_weak_loss_agrees_with_plain_loops() -> None:
    types, counts = [-1, -1, -1, -1, 2, 0, -1], [1, 2, 7, -1, 3, 1, 1]
    logits = drawn_output(7).type_logits
    losses = []
    for row in range(7):
        if types[row] >= 0 or counts[row] < 1:
            continue
        shares = [math.exp(log_softmax(logits[row].tolist(), place)) for place in range(4)]
        losses.append(-math.log(shares[0] if counts[row] == 1 else sum(shares[1:])))
    assert len(losses) == 4
    loss = weak_loss(logits, types=torch.tensor(types), counts=torch.tensor(counts))
    assert loss.item() == pytest.approx(float(np.mean(losses)), rel=1e-5)


def test_number_of_two_or_more_forbids_the_instance_and_leaves_the_others_as_they_are() -> None:
    logits = torch.zeros(1, 4, requires_grad=True)
    torch.autograd.backward(weak_loss(logits, types=torch.tensor([-1]), counts=torch.tensor([3])))
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([0.25, -1 / 12, -1 / 12, -1 / 12])


def test_weak_loss_without_such_a_picture_is_nothing() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = weak_loss(logits, types=torch.tensor([1, 0, -1]), counts=torch.tensor([2, 1, -1]))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_weak_loss_of_a_certain_mistake_is_finite() -> None:
    logits = torch.tensor([[200.0, -200.0, -200.0, -200.0]], requires_grad=True)
    loss = weak_loss(logits, types=torch.tensor([-1]), counts=torch.tensor([2]))
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(400 - math.log(3), rel=1e-5)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_weak_term_is_off_unless_it_has_a_weight() -> None:
    output, batch = drawn_output(3), labelled([-1, -1, 2], [2, 1, 2], [1, 1, 1])
    off, on = (
        classification_loss(output, batch=batch, config=TrainConfig(weak_weight=weight))
        for weight in (0, 0.5)
    )
    assert off.weak.item() == on.weak.item() > 0
    assert on.total.item() == pytest.approx(off.total.item() + 0.5 * on.weak.item(), rel=1e-6)


def test_type_alone_is_the_type_term_without_smoothing() -> None:
    output, batch = drawn_output(4), labelled([0, -1, 3, 1], [1, 2, 4, 2], [1] * 4)
    alone = type_cross_entropy(output.type_logits, types=batch.types)
    terms = classification_loss(output, batch=batch, config=TrainConfig(label_smoothing=0.0))
    assert torch.equal(alone, terms.type)
