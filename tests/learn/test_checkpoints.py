from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from tests.tiny_training import same, tiny_recipe, two_steps

from supcam.core.types import ConfigError, TrainingError
from supcam.learn.checkpoints import (
    FORMAT_VERSION,
    OWN_KEY,
    AtomicCheckpointIO,
    State,
    averaged_weights,
    is_pretrained,
    load_averaged,
    load_mean,
    load_network,
    read_checkpoint,
    require_plain,
)
from supcam.learn.encoder import Network, pretraining_network


def checkpoint(*, average: int = 1, network: int = 2) -> State:
    """A checkpoint like those of a run, with weights drawn from two seeds."""
    config = tiny_recipe().network
    state = {f"average.{name}": value for name, value in Network(config, seed=average).state_dict().items()}
    state |= {f"network.{name}": value for name, value in Network(config, seed=network).state_dict().items()}
    recipe = tiny_recipe().model_dump(mode="json")
    own = {"format_version": FORMAT_VERSION, "recipe": recipe, "data_hash": "stripes"}
    return {"state_dict": state, "global_step": 12, OWN_KEY: own}


def written(tmp_path: Path, value: State) -> Path:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(value, path)
    return path


def test_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    value = checkpoint() | {"numbers": [1, 2.5, None, True, (3,)], "names": {0: "zero", "one": {}}}
    path = written(tmp_path, value)
    assert same(AtomicCheckpointIO().load_checkpoint(path), value)
    assert [item.name for item in path.parent.iterdir()] == ["last.ckpt"]


def test_write_that_fails_half_way_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, checkpoint())
    before = path.read_bytes()

    def half(value: State, stream: BinaryIO) -> None:
        stream.write(before[: len(before) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="no space"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(average=5), path)
    assert path.read_bytes() == before


def test_checkpoint_is_on_the_disk_before_it_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(handle: int) -> None:
        events.append("sync")
        sync(handle)

    def noted_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    written(tmp_path, checkpoint())
    assert events[:2] == ["sync", "rename"]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": {"b": [np.float64(1.0)]}}, r"checkpoint\.a\.b\[0\]: found a float64"),
        ({"path": Path("x")}, "checkpoint.path: found a"),
        ({"array": np.zeros(2)}, "found a ndarray"),
        ({"set": {1}}, "found a set"),
        ({"odd": {(1, object()): 2}}, "checkpoint.odd key"),
        ({"code": print}, "checkpoint.code"),
    ],
)
def test_only_tensors_and_plain_values_are_let_in(value: State, named: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=named):
        AtomicCheckpointIO().save_checkpoint(value, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_plain_values_are_let_in() -> None:
    require_plain({"x": [1, 2.0, "three", None, True, torch.zeros(1)], 4: {}})


def test_network_is_the_averaged_one_in_eval_mode(tmp_path: Path) -> None:
    loaded = load_network(written(tmp_path, checkpoint(average=1, network=2)))
    expected = Network(tiny_recipe().network, seed=1).state_dict()
    assert same(dict(loaded.network.state_dict()), dict(expected))
    assert not any(module.training for module in loaded.network.modules())
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    assert (loaded.step, loaded.data_hash, loaded.recipe) == (12, "stripes", tiny_recipe())


def pretrained(*, average: int = 1) -> State:
    """A checkpoint of step 1, with weights drawn from a seed."""
    value, recipe = checkpoint(), two_steps(seed=average)
    assert recipe.pretrain is not None
    network = pretraining_network(recipe.network, pretrain=recipe.pretrain)
    value["state_dict"] = {f"average.{name}": weight for name, weight in network.state_dict().items()}
    value[OWN_KEY] |= {"step": "pretrain", "recipe": recipe.model_dump(mode="json")}
    return value


def test_checkpoint_tells_which_step_it_is_of() -> None:
    assert is_pretrained(pretrained())
    assert not is_pretrained(checkpoint()), "one that was written before there were two steps"
    of_step_2 = checkpoint()
    of_step_2[OWN_KEY]["step"] = "finetune"
    assert not is_pretrained(of_step_2)


def test_backbone_of_step_1_is_taken_over_and_its_head_is_not(tmp_path: Path) -> None:
    network = Network(tiny_recipe().network, seed=9)
    heads = {name: value.clone() for name, value in network.state_dict().items() if "_head" in name}
    load_averaged(network, path=written(tmp_path, pretrained(average=4)))
    expected = Network(tiny_recipe().network, seed=4).backbone.state_dict()
    assert same(dict(network.backbone.state_dict()), dict(expected))
    assert len(heads) == 6
    assert all(torch.equal(network.state_dict()[name], value) for name, value in heads.items())


def test_step_1_takes_over_all_of_another_step_1_and_the_backbone_of_a_classifier(tmp_path: Path) -> None:
    recipe = two_steps(seed=9)
    assert recipe.pretrain is not None
    path = written(tmp_path / "contrast", pretrained(average=4))
    network = pretraining_network(recipe.network, pretrain=recipe.pretrain)
    load_averaged(network, path=path)
    assert same(dict(network.state_dict()), averaged_weights(read_checkpoint(path)))
    head = {name: value.clone() for name, value in network.head.state_dict().items()}
    load_averaged(network, path=written(tmp_path / "classifier", checkpoint(average=1)))
    assert same(
        dict(network.backbone.state_dict()), dict(Network(recipe.network, seed=1).backbone.state_dict())
    )
    assert same(dict(network.head.state_dict()), head)


def test_backbone_of_another_width_is_refused(tmp_path: Path) -> None:
    wider = tiny_recipe().network.model_copy(update={"channels": (8, 8, 8, 16)})
    with pytest.raises(TrainingError, match="size mismatch"):
        load_averaged(Network(wider), path=written(tmp_path, pretrained()))


def test_backbone_without_a_classifier_is_no_network_to_use(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"without a classifier.*supcam finetune"):
        load_network(written(tmp_path, pretrained()))


def test_mean_of_several_checkpoints_is_the_mean_of_each_weight(tmp_path: Path) -> None:
    paths = [written(tmp_path / str(seed), checkpoint(average=seed)) for seed in (1, 2, 3)]
    loaded = load_mean(paths)
    states = [Network(tiny_recipe().network, seed=seed).state_dict() for seed in (1, 2, 3)]
    for name, value in loaded.network.state_dict().items():
        expected = sum(state[name].to(torch.float64) for state in states) / 3
        torch.testing.assert_close(value.to(torch.float64), expected, msg=name)
    assert loaded.averaged_with == (tiny_recipe(), tiny_recipe())
    assert not any(module.training for module in loaded.network.modules())


def test_mean_of_one_checkpoint_is_itself(tmp_path: Path) -> None:
    path = written(tmp_path, checkpoint())
    assert same(dict(load_mean([path]).network.state_dict()), dict(load_network(path).network.state_dict()))


def test_networks_that_see_another_input_are_not_averaged(tmp_path: Path) -> None:
    other = checkpoint()
    other[OWN_KEY]["recipe"]["crop"]["width_px"] = 9.5
    paths = [written(tmp_path / "a", checkpoint()), written(tmp_path / "b", other)]
    with pytest.raises(TrainingError, match="crop"):
        load_mean(paths)


def test_averaged_weights_are_taken_over(tmp_path: Path) -> None:
    network = Network(tiny_recipe().network, seed=9)
    load_averaged(network, path=written(tmp_path, checkpoint(average=1, network=2)))
    assert same(dict(network.state_dict()), dict(Network(tiny_recipe().network, seed=1).state_dict()))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    wider = tiny_recipe().network.model_copy(update={"channels": (8, 8, 8, 16)})
    with pytest.raises(TrainingError, match="size mismatch"):
        load_averaged(Network(wider), path=written(tmp_path, checkpoint()))


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04 but not one of ours"])
def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.ckpt"):
        read_checkpoint(path)


def test_missing_and_cut_off_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"missing\.ckpt"):
        read_checkpoint(tmp_path / "missing.ckpt")
    path = written(tmp_path, checkpoint())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingError, match=r"last\.ckpt"):
        read_checkpoint(path)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil-was-here",)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({OWN_KEY: {"format_version": FORMAT_VERSION}, "evil": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(TrainingError):
        read_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize("own", [None, {}, {"format_version": FORMAT_VERSION + 1}, "text"])
def test_checkpoint_of_somebody_else_or_of_another_version_is_refused(tmp_path: Path, own: object) -> None:
    value = checkpoint()
    value[OWN_KEY] = own
    with pytest.raises(TrainingError, match="without our recipe of a known version"):
        read_checkpoint(written(tmp_path, value))


def test_recipe_that_nobody_knows_any_more_is_refused(tmp_path: Path) -> None:
    value = checkpoint()
    value[OWN_KEY]["recipe"]["train"]["colour"] = "blue"
    with pytest.raises(ConfigError, match=r"train\.colour"):
        load_network(written(tmp_path, value))


def test_removed_checkpoint_is_gone(tmp_path: Path) -> None:
    path = written(tmp_path, checkpoint())
    AtomicCheckpointIO().remove_checkpoint(path)
    AtomicCheckpointIO().remove_checkpoint(path)
    assert not path.exists()
