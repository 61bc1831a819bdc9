from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, tiny_recipe
from torch import nn

from supcam.core.types import TrainingError
from supcam.learn.averaging import blend_into
from supcam.learn.batches import Batch, stack
from supcam.learn.classification import classification_loss
from supcam.learn.config import TrainConfig
from supcam.learn.encoder import Network, NetworkOutput
from supcam.learn.finetune import Finetuning
from supcam.learn.optimizer import parameter_groups, rate_share

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


def stripes(n: int, *, step: int = -1) -> Batch:
    return stack([Stripes().draw(np.random.default_rng(i)) for i in range(n)], step=step)


def learner(**train: object) -> Finetuning:
    recipe = tiny_recipe(**train)
    return Finetuning(Network(recipe.network, seed=1), config=recipe.train, validation_names=["near"])


def log_softmax(logits: list[float], place: int) -> float:
    return logits[place] - math.log(sum(math.exp(value) for value in logits))


# ---- the loss


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


# ---- the schedule, the optimizer's groups, the average


def test_rate_rises_in_a_line_then_falls_in_a_cosine() -> None:
    config = tiny_recipe(
        epochs=10, pictures_per_epoch=80, batch_size=8, warmup_share=0.1, final_rate_share=0.2
    ).train
    shares = [rate_share(step, config=config) for step in range(config.total_steps + 1)]
    assert shares[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert shares[10] == 1.0
    assert shares[55] == pytest.approx(0.6)
    assert shares[100] == pytest.approx(0.2)
    assert all(later < earlier for earlier, later in itertools.pairwise(shares[10:]))


def test_rate_without_warm_up_starts_full() -> None:
    assert rate_share(0, config=tiny_recipe(warmup_share=0.0).train) == 1.0


def test_weights_decay_and_biases_and_norms_do_not() -> None:
    network = Network(tiny_recipe().network)
    decaying, free = parameter_groups(network, weight_decay=0.05)
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.05, 0.0)
    groups = [*decaying["params"], *free["params"]]
    assert sorted(map(id, groups)) == sorted(map(id, network.parameters()))
    held_back = {id(parameter) for parameter in free["params"]}
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(id(value) in held_back for norm in norms for value in norm.parameters())
    assert id(network.type_head.bias) in held_back
    assert id(network.type_head.weight) not in held_back


def test_average_moves_by_its_share_and_running_statistics_with_it() -> None:
    ours, theirs = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        ours.weight.fill_(1.0)
        theirs.weight.fill_(3.0)
    assert ours.running_mean is not None
    assert theirs.running_mean is not None
    ours.running_mean.fill_(0.0)
    theirs.running_mean.fill_(10.0)
    ours.num_batches_tracked.fill_(5)  # type: ignore[union-attr]
    theirs.num_batches_tracked.fill_(9)  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    blend_into(ours, network=theirs, keep=0.75)
    assert ours.weight.tolist() == [1.5, 1.5]
    assert ours.running_mean.tolist() == [2.5, 2.5]
    assert int(ours.num_batches_tracked) == 9  # type: ignore[arg-type]
    assert all(torch.equal(before[name], value) for name, value in theirs.state_dict().items())


def test_average_that_keeps_nothing_is_the_network() -> None:
    recipe = tiny_recipe()
    average, network = Network(recipe.network, seed=1), Network(recipe.network, seed=2)
    blend_into(average, network=network, keep=0.0)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(average.state_dict()[name], value)


# ---- the module


def test_average_starts_as_the_network_and_takes_no_gradient() -> None:
    module = learner()
    ours, theirs = module.average.state_dict(), module.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not any(parameter.requires_grad for parameter in module.average.parameters())
    assert ours["type_head.weight"].data_ptr() != theirs["type_head.weight"].data_ptr()


def test_optimizer_holds_the_network_and_not_its_average() -> None:
    module = learner(learning_rate=0.02)
    optimizer = module.configure_optimizers()["optimizer"]
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == set(map(id, module.network.parameters()))


def test_start_from_a_checkpoint_lowers_the_rate() -> None:
    plain = learner(learning_rate=0.02, init_rate_share=0.5, warmup_share=0.0)
    second = learner(learning_rate=0.02, init_rate_share=0.5, warmup_share=0.0, init_from="first.ckpt")
    rates = [module.configure_optimizers()["optimizer"].param_groups[0]["lr"] for module in (plain, second)]
    assert rates == pytest.approx([0.02, 0.01])


def test_batch_of_another_step_is_refused() -> None:
    with pytest.raises(TrainingError, match="the batch of step 4 in step 0"):
        learner().on_train_batch_start(stripes(2, step=4), 0)


def test_randomness_of_a_step_follows_from_seed_and_step() -> None:
    def drawn_in_step(seed: int) -> torch.Tensor:
        learner(seed=seed).on_train_batch_start(stripes(2, step=0), 0)
        return torch.rand(4)

    torch.rand(3)
    assert torch.equal(drawn_in_step(3), drawn_in_step(3))
    assert not torch.equal(drawn_in_step(3), drawn_in_step(4))


def test_loss_that_is_not_finite_stops_the_training() -> None:
    module = learner()
    with torch.no_grad():
        module.network.type_head.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match="a loss of nan in step 0"):
        module.training_step(stripes(2, step=0), 0)


def test_gradient_is_shortened_to_the_limit_and_not_stretched() -> None:
    for limit, expected in ((0.001, 0.001), (1e6, None), (0.0, None)):
        module = learner(gradient_clip=limit)
        batch = stripes(4)
        loss = classification_loss(module.network(batch.pictures), batch=batch, config=module.config).total
        torch.autograd.backward(loss)
        before = length_of_gradient(module)
        module.configure_gradient_clipping(None)
        assert length_of_gradient(module) == pytest.approx(expected or before, rel=1e-3)


def length_of_gradient(module: Finetuning) -> float:
    return math.sqrt(sum(float((p.grad**2).sum()) for p in module.network.parameters() if p.grad is not None))
