"""Integers in place of floats: nearly the same answers, the same weights on the way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tests.stirred import stirred

from supcam.core.types import BundleError
from supcam.learn.checkpoints import LoadedNetwork
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.pack.bundle import load_model
from supcam.pack.card import CardWords
from supcam.pack.comparison import run_batches
from supcam.pack.export import ExportPlan, drawn_squares, export_network, run_torch, text_of, to_onnx
from supcam.pack.folder import read_folder
from supcam.pack.quantize import LEAST_PICTURES, dequantized, quantize
from supcam.pack.restore import restore
from supcam.pack.session import Pictures, open_session

SIZE_PX = 64
CONFIG = NetworkConfig(backbone="resnet10t", channels=(16, 16, 32, 32))


@pytest.fixture(scope="module")
def network() -> Network:
    network = Network(CONFIG, seed=3)
    stirred(network)
    with torch.no_grad():
        for head in (network.type_head, network.count_head, network.chromosome_head):
            torch.nn.init.normal_(head.weight, std=0.5, generator=torch.Generator().manual_seed(1))
            torch.nn.init.normal_(head.bias, generator=torch.Generator().manual_seed(2))
    return network.eval()


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return np.random.default_rng(0).random((LEAST_PICTURES, 1, SIZE_PX, SIZE_PX), dtype=np.float32)


@pytest.fixture(scope="module")
def exact(network: Network) -> onnx.ModelProto:
    return to_onnx(network, size_px=SIZE_PX)


@pytest.fixture(scope="module")
def integers(exact: onnx.ModelProto, pictures: Pictures) -> onnx.ModelProto:
    return quantize(exact, pictures=pictures)


def test_integers_say_nearly_the_same(
    network: Network, integers: onnx.ModelProto, pictures: Pictures
) -> None:
    session = open_session(integers.SerializeToString(), threads=1, where="integers")
    meant, said = run_torch(network, pictures=pictures), run_batches(session, pictures=pictures, batch_size=7)
    spread = meant.type_logits.std()
    assert np.abs(said.type_logits - meant.type_logits).mean() < 0.1 * spread
    assert np.abs(said.type_logits - meant.type_logits).max() > 0


def test_kernels_are_stored_in_bytes(exact: onnx.ModelProto, integers: onnx.ModelProto) -> None:
    stored = {item.name: numpy_helper.to_array(item) for item in integers.graph.initializer}
    kernels = [value for name, value in stored.items() if name.endswith(".weight_quantized")]
    assert len(kernels) > 8
    assert all(value.dtype == np.int8 for value in kernels)
    assert len(integers.SerializeToString()) < 0.45 * len(exact.SerializeToString())


def test_heads_stay_in_floats(integers: onnx.ModelProto) -> None:
    stored = {item.name: numpy_helper.to_array(item) for item in integers.graph.initializer}
    assert stored["type_head.weight"].dtype == np.float32
    assert stored["count_head.bias"].dtype == np.float32


def test_weights_come_back_within_half_a_step(exact: onnx.ModelProto, integers: onnx.ModelProto) -> None:
    before = {item.name: numpy_helper.to_array(item) for item in exact.graph.initializer}
    after = dequantized(integers)
    kernels = [name for name in after if after[name].ndim == 4]
    assert len(kernels) > 8
    for name in kernels:
        step = np.abs(before[name]).max(axis=(1, 2, 3), keepdims=True) / 127
        assert (np.abs(after[name] - before[name]) <= 0.51 * step + 1e-9).all(), name


def test_few_pictures_are_refused(exact: onnx.ModelProto, pictures: Pictures) -> None:
    with pytest.raises(BundleError, match="99 pictures"):
        quantize(exact, pictures=pictures[:99])


def test_a_bundle_in_integers_loads_and_gives_its_network_back(network: Network, tmp_path: Path) -> None:
    recipe = Recipe(network=CONFIG, crop={"size_px": SIZE_PX})
    text = text_of(LoadedNetwork(network, recipe=recipe, data_hash="", step=1), words=CardWords())
    crops = tuple((255 * (1 - square[0])).astype(np.uint8) for square in drawn_squares(text))
    plan = ExportPlan(pictures=crops * (LEAST_PICTURES // len(crops)), weights="int8")
    report = export_network(network, output=tmp_path / "model", text=text, plan=plan)
    assert report.card.weights == "int8"
    probe = read_folder(tmp_path / "model").probe
    model = load_model(tmp_path / "model", threads=1)
    again = model.logits(probe.picture)
    assert again.type_logits == pytest.approx(probe.expected.type_logits, abs=0.05)
    restored = restore(tmp_path / "model")
    assert 0 < restored.difference < 0.25
    meant = run_torch(network, pictures=probe.picture)
    back = run_torch(restored.network, pictures=probe.picture)
    assert back.type_logits == pytest.approx(meant.type_logits, abs=0.1)
