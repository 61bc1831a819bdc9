from __future__ import annotations

import pytest
import torch
from torch import nn

from supcam.core.types import ConfigError
from supcam.learn.config import NetworkConfig, PretrainConfig
from supcam.learn.encoder import Network, NetworkOutput, ProjectionHead, pretraining_network

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


def test_stem_width_is_half_of_what_the_first_stage_gets_and_changes_nothing_behind_it() -> None:
    narrow = Network(NetworkConfig(backbone="resnet10t", channels=(8, 12, 16, 20), stem_width=4))
    own = Network(NetworkConfig(backbone="resnet10t", channels=(8, 12, 16, 20)))
    assert [len(n.state_dict()["backbone.bn1.weight"]) for n in (narrow, own)] == [8, 64]
    assert narrow.dim == own.dim == 20


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
        NetworkConfig(backbone="resnet18", stem_width=8),
        NetworkConfig(backbone="mobilenetv4_conv_small_035", stem_width=8),
    ],
    ids=lambda config: f"{config.backbone}-{config.channels}-{config.stem_width}",
)
def test_backbone_that_cannot_serve_is_refused(config: NetworkConfig) -> None:
    with pytest.raises(ConfigError, match=config.backbone):
        Network(config)


# ---- pre-training


def test_projection_is_two_layers_with_a_norm_between_them_on_the_unit_sphere() -> None:
    head = ProjectionHead(6, hidden_dim=5, projection_dim=3).eval()
    embedding = torch.randn(4, 6)
    first, norm, _, second = head.layers
    raw = second(torch.relu(norm(first(embedding))))
    expected = raw / raw.pow(2).sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(head(embedding), expected)


def test_projection_is_of_unit_length_and_float32_under_bfloat16_autocast() -> None:
    head = ProjectionHead(6, hidden_dim=5, projection_dim=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = head(torch.randn(4, 6))
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))


def test_backbone_of_step_1_is_the_one_that_step_2_would_draw() -> None:
    """So that a start with and without step 1 differs by step 1 alone."""
    network = pretraining_network(TINY, pretrain=PretrainConfig(seed=7))
    expected = Network(TINY, seed=7).backbone.state_dict()
    found = network.backbone.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_embedding_is_the_one_that_the_heads_of_step_2_read() -> None:
    network, classifier = pretraining_network(TINY, pretrain=PretrainConfig(seed=7)), Network(TINY, seed=7)
    with torch.no_grad():
        torch.testing.assert_close(
            network.eval().embed(pictures(2)), classifier.eval()(pictures(2)).embedding
        )


def test_head_of_step_1_follows_from_the_seed_and_names_types_for_cross_entropy() -> None:
    def head(seed: int, method: str = "queue") -> nn.Module:
        pretrain = PretrainConfig.model_validate({"seed": seed, "method": method, "projection_dim": 9})
        return pretraining_network(TINY, pretrain=pretrain).head

    first, again, other = (head(seed).state_dict()["layers.0.weight"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    named = head(1, "cross_entropy")
    assert isinstance(named, nn.Linear)
    assert named.out_features == 4
