from __future__ import annotations

import pytest
import torch
from torch import nn

from supcam.core.types import ConfigError
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network, NetworkOutput

TINY = NetworkConfig(backbone="resnet10t", channels=(8, 8, 8, 8), max_count=5)
BACKBONES = [
    TINY,
    NetworkConfig(backbone="test_resnet"),
    NetworkConfig(backbone="test_efficientnet"),
    NetworkConfig(backbone="test_convnext"),
    NetworkConfig(backbone="mobilenetv4_conv_small_035"),
]


def pictures(n: int, *, size: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("config", BACKBONES, ids=lambda config: config.backbone)
def test_every_output_has_the_shape_that_the_bundle_promises(config: NetworkConfig) -> None:
    network = Network(config).eval()
    with torch.no_grad():
        output = network(pictures(3))
    assert output._fields == ("type_logits", "count_logits", "chromosome_logit", "embedding", "type_map")
    assert output.type_logits.shape == (3, 4)
    assert output.count_logits.shape == (3, config.max_count)
    assert output.chromosome_logit.shape == (3, 1)
    assert output.embedding.shape == (3, network.dim)
    assert output.type_map.shape == (3, 4, 2, 2)


@pytest.mark.parametrize("config", BACKBONES, ids=lambda config: config.backbone)
def test_mean_of_the_type_map_plus_bias_is_the_type_logit(config: NetworkConfig) -> None:
    network = Network(config).eval()
    nn.init.uniform_(network.type_head.bias)
    with torch.no_grad():
        output = network(pictures(2))
    expected = output.type_map.mean(dim=(2, 3)) + network.type_head.bias
    torch.testing.assert_close(output.type_logits, expected, rtol=1e-5, atol=1e-6)


def test_embedding_is_what_the_heads_read() -> None:
    network = Network(TINY).eval()
    with torch.no_grad():
        output = network(pictures(2))
        torch.testing.assert_close(output.count_logits, network.count_head(output.embedding))
        torch.testing.assert_close(output.chromosome_logit, network.chromosome_head(output.embedding))


def test_weights_follow_from_the_seed_and_from_nothing_else() -> None:
    torch.manual_seed(1)
    first = Network(TINY, seed=7).state_dict()
    torch.manual_seed(2)
    again = Network(TINY, seed=7).state_dict()
    other = Network(TINY, seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["type_head.weight"], other["type_head.weight"])
    assert not torch.equal(first["backbone.conv1.0.weight"], other["backbone.conv1.0.weight"])


def test_making_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    Network(TINY, seed=7)
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_are_the_widths_of_the_stages() -> None:
    network = Network(NetworkConfig(backbone="resnet10t", channels=(8, 12, 16, 20)))
    assert network.dim == 20
    widths = {name: value.shape[0] for name, value in network.backbone.named_parameters()}
    assert widths["layer2.0.conv1.weight"] == 12


def test_first_layer_takes_one_channel_and_kernels_lie_channels_last() -> None:
    network = Network(TINY)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions[0].weight.shape[1] == 1
    assert all(c.weight.is_contiguous(memory_format=torch.channels_last) for c in convolutions)


def test_dropout_works_in_training_only() -> None:
    network = Network(TINY.model_copy(update={"drop_rate": 0.5}))
    with torch.no_grad():
        noisy = network(pictures(4))
        assert not torch.equal(noisy.type_logits, network.type_head(noisy.embedding))
        network.eval()
        still = network(pictures(4))
        torch.testing.assert_close(still.type_logits, network.type_head(still.embedding))


def test_new_network_is_in_training_mode_with_even_predictions() -> None:
    network = Network(TINY)
    assert all(module.training for module in network.modules())
    with torch.no_grad():
        probabilities = network.eval()(pictures(2)).type_logits.softmax(dim=1)
    assert (probabilities - 0.25).abs().max() < 0.1


def test_pictures_of_other_sizes_are_welcome() -> None:
    with torch.no_grad():
        output: NetworkOutput = Network(TINY).eval()(pictures(1, size=96))
    assert output.type_map.shape[2:] == (3, 3)


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(backbone="resnet10_which_nobody_made"),
        NetworkConfig(backbone="test_efficientnet", channels=(8, 8, 8, 8)),
        NetworkConfig(backbone="resnet10t", channels=(8, 8)),
        NetworkConfig(backbone="test_vit"),
    ],
    ids=lambda config: f"{config.backbone}-{config.channels}",
)
def test_backbone_that_cannot_serve_is_refused(config: NetworkConfig) -> None:
    with pytest.raises(ConfigError, match=config.backbone):
        Network(config)
