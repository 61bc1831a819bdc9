"""Step 1: queries, keys, queue, momentum; learnt, killed, resumed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.interrupted import STEPS, assert_same_ending, ending, interrupted, killed, run_step, table
from tests.tiny_training import Stripes, same, tiny_sources, two_steps
from torch import Tensor, nn
from torch.nn import functional

from supcam.core.types import TrainingError
from supcam.learn.batches import PairBatch, stack_pairs
from supcam.learn.checkpoints import PRETRAIN
from supcam.learn.encoder import pretraining_network
from supcam.learn.losses import contrastive_loss, in_batch_loss
from supcam.learn.pretrain import Pretraining
from supcam.learn.run import RunResult, run_pretraining

METHODS = ["queue", "in_batch", "moco", "cross_entropy"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The uninterrupted run."""
    torch.set_num_threads(1)
    return run_step(PRETRAIN, folder=tmp_path_factory.mktemp("run") / "whole")


def pairs(n: int, *, first: int = 0, step: int = 0) -> PairBatch:
    drawn = [Stripes().draw_pair(np.random.default_rng(i)) for i in range(first, first + n)]
    return stack_pairs(drawn, step=step)


def learner(**pretrain: object) -> Pretraining:
    recipe = two_steps(train=None, **pretrain)
    assert recipe.pretrain is not None
    network = pretraining_network(recipe.network, pretrain=recipe.pretrain)
    return Pretraining(network, config=recipe.pretrain, validation_names=["near"])


def gradients(network: nn.Module) -> list[Tensor]:
    return [value.grad for value in network.parameters() if value.grad is not None]


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]


# ---- keys and the encoder that makes them


def test_encoders_start_alike_and_only_one_of_them_is_trained() -> None:
    module = learner()
    assert module.key_encoder is not None
    for other in (module.key_encoder, module.average):
        assert same(dict(other.state_dict()), dict(module.network.state_dict()))
        assert not any(value.requires_grad for value in other.parameters())
        ours, theirs = next(other.parameters()), next(module.network.parameters())
        assert ours.data_ptr() != theirs.data_ptr()
    groups = module.configure_optimizers()["optimizer"].param_groups
    held = {id(value) for group in groups for value in group["params"]}
    assert held == set(map(id, module.network.parameters()))


def test_no_gradient_reaches_the_key_encoder_or_its_keys() -> None:
    module = learner()
    assert module.key_encoder is not None
    assert not module.keys_of(pairs(4).keys).requires_grad
    torch.autograd.backward(module.queue_terms(pairs(8))["total"])
    torch.autograd.backward(module.queue_terms(pairs(8, first=8))["total"])
    assert not gradients(module.key_encoder)
    assert len(gradients(module.network)) == len([*module.network.parameters()])
    assert all(gradient.any() for gradient in gradients(module.network.backbone)[-3:])


def test_key_does_not_depend_on_its_batch() -> None:
    """The key encoder stays in eval mode whatever is asked for; the encoder itself is the counterexample."""
    module = learner()
    assert module.key_encoder is not None
    for part in norms(module.key_encoder):
        assert part.running_mean is not None
        assert part.running_var is not None
        part.running_mean.uniform_(-0.1, 0.1)
        part.running_var.uniform_(0.5, 2.0)
    pictures = pairs(8).keys
    for _ in range(2):
        together, alone = module.keys_of(pictures), module.keys_of(pictures[:1])
        torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0.0)
        assert not any(part.training for part in module.key_encoder.modules())
        module.train()
    with torch.no_grad():
        queries, fewer = module.network(pictures), module.network(pictures[:2])
    assert (queries[:2] - fewer).abs().max() > 1e-2


def test_making_keys_leaves_the_running_statistics_alone() -> None:
    module = learner()
    assert module.key_encoder is not None
    before = {name: value.clone() for name, value in module.key_encoder.state_dict().items()}
    module.queue_terms(pairs(8))
    assert same(dict(module.key_encoder.state_dict()), before)
    assert int(norms(module.network)[0].num_batches_tracked) == 1  # type: ignore[arg-type]


def test_queries_and_keys_are_unit_vectors() -> None:
    module = learner()
    for vectors in (module.network(pairs(4).queries), module.keys_of(pairs(4).keys)):
        assert vectors.shape == (4, 8)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))


# ---- the step of each method


def test_queries_meet_the_keys_of_earlier_batches_and_not_those_of_their_own() -> None:
    module = learner()
    assert module.key_encoder is not None
    first, second = pairs(8), pairs(8, first=8)
    module.queue_terms(first)
    known = first.types >= 0
    assert 0 < known.sum() < 8, "debris is left out"
    references = module.queue.references()
    torch.testing.assert_close(references.keys, module.keys_of(first.keys)[known])
    assert torch.equal(references.types, first.types[known])
    module.eval()
    expected = contrastive_loss(
        module.network(second.queries), module.keys_of(second.keys), types=second.types,
        references=references, config=module.config,
    )  # fmt: skip
    terms = module.queue_terms(second)
    for name, value in expected._asdict().items():
        torch.testing.assert_close(terms[name], value)
    assert terms["n_positives"] > 0


def test_moco_looks_at_no_type() -> None:
    def total(types: list[int]) -> tuple[float, int]:
        module = learner(method="moco").eval()
        batch = pairs(6)._replace(types=torch.tensor(types))
        module.queue_terms(batch)
        return module.queue_terms(batch)["total"].item(), len(module.queue.references().types)

    assert total([0, 1, 2, 3, 0, 1]) == total([-1] * 6) == total([2] * 6)
    assert total([-1] * 6)[1] == 12, "unlabelled pictures are contrasted, too"


def test_contrast_within_the_batch_has_gradient_through_both_views_and_no_queue() -> None:
    module = learner(method="in_batch")
    assert module.key_encoder is None
    assert not [name for name in module.state_dict() if name.startswith(("queue", "key_encoder"))]
    batch = pairs(8)
    module.network.eval()
    terms = module.in_batch_terms(batch)
    queries, keys = module.network(batch.queries), module.network(batch.keys)
    expected = in_batch_loss(queries, keys, types=batch.types, config=module.config)
    torch.testing.assert_close(terms["total"], expected.total)
    (slope,) = torch.autograd.grad(expected.total, keys)
    assert slope.any()


def test_cross_entropy_names_the_type_of_the_first_view() -> None:
    module = learner(method="cross_entropy").eval()
    batch = pairs(8)
    known = batch.types >= 0
    expected = functional.cross_entropy(module.network(batch.queries)[known], batch.types[known])
    terms = module.cross_entropy_terms(batch._replace(keys=torch.full_like(batch.keys, torch.nan)))
    torch.testing.assert_close(terms["total"], expected)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_every_term_or_says_that_it_has_none(method: str, tmp_path: Path) -> None:
    recipe = two_steps(method=method, epochs=1, pictures_per_epoch=48)
    result = run_pretraining(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    last = table(result.folder / "metrics.csv")[-1]
    assert set(last) == {"step", "epoch", *Pretraining.term_names, "learning_rate"}
    missing = {name for name in Pretraining.term_names if math.isnan(float(last[name]))}
    of_contrast = {"own", "positives", "n_positives", "own_gradient"}
    expected = {"queue": set(), "moco": set(), "in_batch": {"momentum"}}
    assert missing == expected.get(method, {"momentum", *of_contrast})
    assert float(last["gradient"]) > 0
    if method != "cross_entropy":
        assert float(last["own_gradient"]) > 0


def test_own_gradient_is_the_length_of_the_own_terms_slope_over_the_queries() -> None:
    module = learner(alpha=0.0).eval()
    module.queue_terms(pairs(8))
    references, batch = module.queue.references(), pairs(8, first=8)
    queries = module.network(batch.queries).detach().requires_grad_()
    own = contrastive_loss(
        queries, module.keys_of(batch.keys), types=batch.types, references=references, config=module.config
    ).own
    (slope,) = torch.autograd.grad(own, queries)
    assert module.queue_terms(batch)["own_gradient"].item() == pytest.approx(float(slope.norm()), rel=1e-4)


def test_batch_of_another_step_is_refused() -> None:
    with pytest.raises(TrainingError, match="the batch of step 4 in step 0"):
        learner().on_train_batch_start(pairs(2, step=4), 0)


def test_loss_that_is_not_finite_stops_the_training() -> None:
    module = learner()
    with torch.no_grad():
        next(iter(module.network.parameters())).fill_(float("nan"))
    with pytest.raises(TrainingError, match="a loss of nan in step 0"):
        module.training_step(pairs(4), 0)


# ---- momentum


def test_momentum_is_a_cosine_from_first_to_last_once_the_key_encoder_is_old() -> None:
    module = learner(momentum=[0.5, 0.9], epochs=200)
    last = module.config.total_steps - 1
    assert module.momentum_at(last) == pytest.approx(0.9)
    assert module.momentum_at(last // 2) == pytest.approx(0.7, abs=1e-3)
    quarter = module.momentum_at(last // 4)
    assert quarter == pytest.approx(0.9 - 0.4 * (1 + math.cos(math.pi / 4)) / 2, abs=1e-3)
    ramp = [module.momentum_at(step) for step in range(last + 1)]
    assert ramp == sorted(ramp)


def test_young_key_encoder_forgets_what_it_was_drawn_with() -> None:
    module = learner(momentum=[0.99, 0.999])
    assert [module.momentum_at(step) for step in (0, 8)] == pytest.approx([0.1, 0.5])


def test_key_encoder_follows_with_its_running_statistics(tmp_path: Path) -> None:
    """After one step it is a tenth of its start and nine tenths of the encoder, buffers and all."""
    recipe = two_steps(epochs=1, pictures_per_epoch=8)
    assert recipe.pretrain is not None
    start = pretraining_network(recipe.network, pretrain=recipe.pretrain).state_dict()
    run_pretraining(recipe, sources=tiny_sources(validated=8), folder=tmp_path / "run")
    state = ending(tmp_path / "run")["state_dict"]
    moved = 0
    for name, value in start.items():
        network, key = state[f"network.{name}"], state[f"key_encoder.{name}"]
        if value.is_floating_point():
            torch.testing.assert_close(key, 0.1 * value + 0.9 * network)
            moved += not torch.equal(value, network)
    assert moved > 20


# ---- what a run of it learns and leaves behind


@pytest.mark.parametrize("method", METHODS)
def test_network_learns_to_tell_apart_what_it_is_shown(method: str, tmp_path: Path) -> None:
    """Read by the nearest mean of embeddings; without labels it is more than the quarter of a guess.

    Without labels samples of a type repel each other, so that the loss has less far to fall.
    """
    recipe = two_steps(method=method, epochs=8, pictures_per_epoch=160, average_decay=0.9)
    result = run_pretraining(recipe, sources=tiny_sources(validated=64), folder=tmp_path / "run")
    lines = [float(row["total"]) for row in table(result.folder / "metrics.csv")]
    if method in ("queue", "moco"):
        lines = lines[4:]  # the queue is full
    assert np.mean(lines[-5:]) < (0.97 if method == "moco" else 0.9) * np.mean(lines[:5])
    assert result.scores["near"].accuracy > (0.4 if method == "moco" else 0.9)
    assert math.isnan(result.scores["near"].count_accuracy)
    assert math.isnan(result.scores["near"].chromosome_accuracy)


def test_same_seed_gives_the_same_weights_and_another_one_does_not(
    finished: RunResult, tmp_path: Path
) -> None:
    run_step(PRETRAIN, folder=tmp_path / "again")
    assert_same_ending(tmp_path / "again", other=finished.folder)
    run_step(PRETRAIN, folder=tmp_path / "other", recipe=two_steps(seed=4))
    name = "network.backbone.conv1.0.weight"
    other = ending(tmp_path / "other")["state_dict"][name]
    assert not torch.equal(other, ending(finished.folder)["state_dict"][name])


def test_history_has_a_row_for_every_epoch_and_set_and_none_for_the_references(finished: RunResult) -> None:
    rows = table(finished.folder / "history.csv")
    assert [(row["step"], row["set"]) for row in rows] == [
        (str(step), name) for step in (10, 20, 30) for name in ("near", "far")
    ]


def test_run_without_validation_is_a_run(tmp_path: Path) -> None:
    sources = tiny_sources(validated=0)
    bare = type(sources)(train=sources.train, validation={}, data_hash="none", pretrain=sources.pretrain)
    result = run_pretraining(two_steps(epochs=1), sources=bare, folder=tmp_path / "run")
    assert (result.steps, result.scores) == (10, {})


def test_bfloat16_run_keeps_weights_keys_and_losses_in_float32(tmp_path: Path) -> None:
    recipe = two_steps(precision="bfloat16", epochs=1)
    run_pretraining(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    end = ending(tmp_path / "run")
    assert {value.dtype for value in end["state_dict"].values() if value.is_floating_point()} == {
        torch.float32
    }
    assert end["callbacks"]["MetricLines"]["terms"].dtype == torch.float32


# ---- a stopped run goes on as if nothing had happened


@pytest.mark.parametrize("step", [1, 5, 13], ids=lambda step: f"stopped at {step}")
def test_stopped_run_ends_like_the_uninterrupted_one(finished: RunResult, tmp_path: Path, step: int) -> None:
    interrupted(tmp_path / "run", step=step, of=PRETRAIN)
    run_step(PRETRAIN, folder=tmp_path / "run")
    assert_same_ending(tmp_path / "run", other=finished.folder)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "steps"), [(0, (17,)), (2, (6, 29))])
def test_run_killed_in_the_middle_of_an_epoch_ends_bit_for_bit_like_the_uninterrupted_one(
    finished: RunResult, tmp_path: Path, workers: int, steps: tuple[int, ...]
) -> None:
    """Queue, pointer and momentum encoder included, of which the checkpoint knows before the kill."""
    folder = tmp_path / "run"
    for step in steps:
        killed(folder, step=step, workers=workers, of=PRETRAIN)
        assert step - 4 <= ending(folder)["global_step"] < step
    run_step(PRETRAIN, folder=folder, workers=workers)
    assert_same_ending(folder, other=finished.folder)
    state = ending(folder)["state_dict"]
    assert state["queue.types"].min() >= 0, "full"
    assert int(state["queue.pointer"]) > 0
    assert len(table(folder / "metrics.csv")) == STEPS // 3
