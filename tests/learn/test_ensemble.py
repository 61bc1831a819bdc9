"""Several networks in one: the mean of what they say, whichever way they are joined."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from supcam.core.config import CropConfig
from supcam.core.types import TrainingError
from supcam.learn.checkpoints import LoadedNetwork, load_network
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network, NetworkOutput
from supcam.learn.ensemble import joined, write_joined, write_mean
from supcam.learn.optimizer import layer_factors
from supcam.learn.recipe import Recipe

CONFIG = NetworkConfig(backbone="resnet10t", channels=(8, 8, 16, 16))
LOGITS = ("type_logits", "count_logits", "chromosome_logit")


def part(seed: int, *, recipe: Recipe | None = None) -> LoadedNetwork:
    recipe = recipe or Recipe(network=CONFIG)
    network = Network(recipe.network, seed=seed)
    with torch.no_grad():
        for head in (network.type_head, network.count_head, network.chromosome_head):
            head.bias.normal_(generator=torch.Generator().manual_seed(seed))
    return LoadedNetwork(network.eval(), recipe=recipe, data_hash=f"data {seed}", step=10 * seed)


def pictures() -> torch.Tensor:
    return torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(5))


def said(network: Network) -> NetworkOutput:
    with torch.no_grad():
        output: NetworkOutput = network(pictures())
    return output


def test_every_logit_is_the_mean_of_the_parts() -> None:
    parts = [part(1), part(2), part(3)]
    both = said(joined(parts))
    each = [said(one.network) for one in parts]
    for name in (*LOGITS, "type_map"):
        mean = torch.stack([getattr(one, name) for one in each]).mean(0)
        torch.testing.assert_close(getattr(both, name), mean)
        assert not torch.allclose(getattr(both, name), getattr(each[0], name), atol=1e-3)


def test_the_embedding_holds_those_of_the_parts() -> None:
    parts = [part(1), part(2)]
    both = said(joined(parts)).embedding
    assert both.shape[1] == 2 * parts[0].network.dim
    torch.testing.assert_close(both, torch.cat([said(one.network).embedding for one in parts], dim=1))


def test_members_count_alike_when_a_joined_network_is_joined(tmp_path: Path) -> None:
    parts = [part(1), part(2), part(3)]
    pair = load_network(write_joined(parts[:2], path=tmp_path / "pair.ckpt"))
    torch.testing.assert_close(said(joined([pair, parts[2]])).type_logits, said(joined(parts)).type_logits)


def test_the_checkpoint_comes_back_and_tells_of_its_parts(tmp_path: Path) -> None:
    parts = [part(1), part(2)]
    back = load_network(write_joined(parts, path=tmp_path / "both.ckpt"))
    assert back.recipe.network.members == 2
    assert back.step == 20
    assert back.data_hash == "data 1 data 2"
    assert [one["data_hash"] for one in back.parts] == ["data 1", "data 2"]
    torch.testing.assert_close(said(back.network).type_logits, said(joined(parts)).type_logits)


def test_a_checkpoint_is_never_overwritten(tmp_path: Path) -> None:
    path = write_joined([part(1), part(2)], path=tmp_path / "both.ckpt")
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="exists"):
        write_joined([part(3), part(4)], path=path)
    assert path.read_bytes() == before


def test_the_mean_of_weights_comes_back_and_tells_of_its_parts(tmp_path: Path) -> None:
    paths = [write_joined([part(seed), part(seed + 1)], path=tmp_path / f"{seed}.ckpt") for seed in (1, 3)]
    back = load_network(write_mean(paths, path=tmp_path / "mean.ckpt"))
    states = [load_network(path).network.state_dict() for path in paths]
    for name, value in back.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (states[0][name] + states[1][name]) / 2)
    assert [one["data_hash"] for one in back.parts] == ["data 1 data 2", "data 3 data 4"]
    assert [one["data_hash"] for one in back.parts[0]["parts"]] == ["data 1", "data 2"]
    with pytest.raises(TrainingError, match="exists"):
        write_mean(paths, path=tmp_path / "mean.ckpt")


def test_a_checkpoint_counts_as_often_as_it_is_named(tmp_path: Path) -> None:
    one, other = (
        write_joined([part(seed), part(seed + 1)], path=tmp_path / f"{seed}.ckpt") for seed in (1, 3)
    )
    mean = load_network(write_mean([one, one, one, other], path=tmp_path / "mean.ckpt")).network.state_dict()
    states = [load_network(path).network.state_dict() for path in (one, other)]
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * states[0][name] + 0.25 * states[1][name])


def test_one_network_is_none_to_join() -> None:
    with pytest.raises(TrainingError, match="two or more"):
        joined([part(1)])


@pytest.mark.parametrize(
    "other",
    [
        Recipe(network=CONFIG, crop=CropConfig(size_px=96)),
        Recipe(network=CONFIG.model_copy(update={"channels": (8, 8, 16, 24)})),
    ],
    ids=["input", "width"],
)
def test_networks_of_another_kind_are_refused(other: Recipe) -> None:
    with pytest.raises(TrainingError, match="network 2"):
        joined([part(1), part(2, recipe=other)])


def test_rates_by_layer_are_those_of_each_member() -> None:
    alone = layer_factors(part(1).network, decay=0.5)
    both = layer_factors(joined([part(1), part(2)]), decay=0.5)
    for name, factor in alone.items():
        inside = name.removeprefix("backbone.")
        for place in range(2):
            joint = name if inside == name else f"backbone.members.{place}.{inside}"
            assert both[joint] == factor
