from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, same, tiny_recipe, tiny_sources
from torch import Tensor

from supcam.core.types import TrainingError
from supcam.learn.averaging import blend_into
from supcam.learn.batches import Batch, stack
from supcam.learn.checkpoints import load_averaged, load_network
from supcam.learn.classification import classification_loss
from supcam.learn.encoder import Network
from supcam.learn.finetune import Finetuning, fingerprint
from supcam.learn.run import run_finetuning


def stripes(n: int, *, step: int = -1) -> Batch:
    return stack([Stripes().draw(np.random.default_rng(i)) for i in range(n)], step=step)


def learner(**train: object) -> Finetuning:
    recipe = tiny_recipe(**train)
    return Finetuning(Network(recipe.network, seed=1), config=recipe.train, validation_names=["near"])


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


def test_weak_term_is_written_down_where_it_counts() -> None:
    assert learner().term_names == ("total", "type", "count", "chromosome")
    assert learner(weak_weight=0.2).term_names == ("total", "type", "count", "chromosome", "weak")


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


# ---- the probe: a backbone that stands still


def backbone_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of the weights and running statistics of a network's backbone."""
    backbone = module.backbone
    assert isinstance(backbone, torch.nn.Module)
    return {name: value.clone() for name, value in backbone.state_dict().items()}


def test_probe_trains_the_heads_alone() -> None:
    module = learner(stage="probe")
    optimizer = module.configure_optimizers()["optimizer"]
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    heads = {name: value for name, value in module.network.named_parameters() if "head" in name}
    assert len(heads) == 6
    assert held == set(map(id, heads.values()))


def test_backbone_of_a_probe_is_in_eval_mode_whatever_is_asked_for() -> None:
    module = learner(stage="probe")
    for _ in range(2):
        assert not any(part.training for part in module.network.backbone.modules())
        assert module.network.dropout.training
        module.train()


@pytest.mark.parametrize(("stage", "moves"), [("probe", False), ("full", True)])
def test_frozen_backbone_does_not_move_in_a_run_and_a_trained_one_does(
    tmp_path: Path, stage: str, moves: bool
) -> None:
    """Running statistics included; the heads move in either stage, and so do their averages."""
    seen: list[Finetuning] = []

    class Seen(Finetuning):
        def on_train_end(self) -> None:
            seen.append(self)

    recipe = tiny_recipe(stage=stage, epochs=1)
    start = Network(recipe.network, seed=recipe.train.seed)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("supcam.learn.run.Finetuning", Seen)
        run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    (module,) = seen
    for network in (module.network, module.average):
        assert same(backbone_of(network), backbone_of(start)) is not moves
        assert not torch.equal(network.type_head.weight, start.type_head.weight)


def test_probe_learns_what_a_trained_backbone_shows(tmp_path: Path) -> None:
    sources = tiny_sources(validated=64)
    first = run_finetuning(
        tiny_recipe(epochs=6, pictures_per_epoch=160, average_decay=0.9),
        sources=sources,
        folder=tmp_path / "full",
    )
    taught = load_network(first.checkpoint).network
    recipe = tiny_recipe(stage="probe", init_from=str(first.checkpoint), average_decay=0.9)
    module = learner(stage="probe")
    load_averaged(module.network, path=first.checkpoint)
    assert fingerprint(module.network.backbone) == fingerprint(taught.backbone)
    probed = run_finetuning(recipe, sources=sources, folder=tmp_path / "probe")
    assert probed.scores["near"].accuracy > 0.9


@pytest.mark.parametrize("moved", ["conv1.0.weight", "bn1.running_mean", "bn1.num_batches_tracked"])
@pytest.mark.parametrize("which", ["network", "average"])
def test_the_proof_itself_fails_when_a_weight_or_a_statistic_moves(which: str, moved: str) -> None:
    module = learner(stage="probe")
    module.require_unmoved()
    network = getattr(module, which)
    value = network.backbone.state_dict()[moved]
    value.view(-1)[:1] += 1
    with pytest.raises(TrainingError, match="a frozen backbone that moved"):
        module.require_unmoved()
    with pytest.raises(TrainingError, match="a frozen backbone that moved"):
        module.on_save_checkpoint({})


def test_run_whose_frozen_backbone_moves_ends_without_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the key that holds it is turned off: the norm layers go on counting."""
    monkeypatch.setattr(Finetuning, "train", torch.nn.Module.train)
    monkeypatch.setattr(Finetuning, "on_train_start", lambda self: self.network.backbone.train())
    with pytest.raises(TrainingError, match="moved in the network"):
        run_finetuning(tiny_recipe(stage="probe", epochs=1), sources=tiny_sources(), folder=tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_full_training_asks_for_no_proof() -> None:
    module = learner(stage="full")
    blend_into(module.average, network=Network(tiny_recipe().network, seed=5), keep=0.5)
    module.require_unmoved()
