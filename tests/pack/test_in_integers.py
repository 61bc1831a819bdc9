"""A bundle in integers beside the one in floats: nearly the same answers, the same words."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tests.commands import supcam_
from tests.drawn_crops import write_crop
from tests.stirred import stirred

from supcam.core.types import BundleError
from supcam.learn.checkpoints import LoadedNetwork
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.pack.bundle import load_model
from supcam.pack.card import Calibration, CardWords
from supcam.pack.export import ExportPlan, export_network, text_of
from supcam.pack.folder import read_folder
from supcam.pack.in_integers import in_integers, widened


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    for seed in range(120):
        write_crop(folder / f"{seed}.png", seed=seed)
    return folder


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in floats whose network has seen chromosomes."""
    return float_bundle(tmp_path_factory.mktemp("floats") / "model")


def float_bundle(folder: Path) -> Path:
    """``folder``, now a bundle whose norm layers and heads are not at rest."""
    recipe = Recipe(
        network=NetworkConfig(backbone="resnet10t", channels=(8, 8, 16, 16)), crop={"size_px": 64}
    )
    network = Network(recipe.network, seed=3)
    stirred(network)
    with torch.no_grad():
        for head in (network.type_head, network.count_head, network.chromosome_head):
            torch.nn.init.normal_(head.weight, std=0.5, generator=torch.Generator().manual_seed(1))
            torch.nn.init.normal_(head.bias, generator=torch.Generator().manual_seed(2))
    loaded = LoadedNetwork(network.eval(), recipe=recipe, data_hash="", step=1)
    text = text_of(loaded, words=CardWords(name="small", version="1.0.0"))
    plan = ExportPlan(calibration=Calibration(accept_threshold=0.25, fitted_on=("select",)))
    export_network(network.requires_grad_(False), output=folder, text=text, plan=plan)
    return folder


def test_words_and_calibration_stay(floats: Path, crops: Path, tmp_path: Path) -> None:
    pictures = sorted(crops.iterdir())
    done = in_integers(floats, output=tmp_path / "int8", pictures=pictures, version="1.1.0")
    before, after = load_model(floats, threads=1), load_model(tmp_path / "int8", threads=1)
    assert (after.card.name, after.card.version, after.card.weights) == ("small", "1.1.0", "int8")
    assert after.calibration == before.calibration
    assert done.unread == ()
    squares = np.stack([before.prepare(picture) for picture in pictures])[:, None]
    meant, said = before.logits(squares), after.logits(squares)
    assert np.abs(said.type_logits - meant.type_logits).mean() < 0.2 * meant.type_logits.std() + 0.02
    assert (tmp_path / "int8" / "model.onnx").stat().st_size < (floats / "model.onnx").stat().st_size


def test_pictures_without_an_object_are_left_out_and_told(floats: Path, crops: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((40, 40), 255, np.uint8))
    result = supcam_(
        "quantize", floats, "--compare", crops, "--compare", blank, "--output", tmp_path / "int8"
    )
    assert result.exit_code == 0, result.output
    assert "1 pictures without an object left out" in result.output
    again = supcam_("quantize", tmp_path / "int8", "--compare", crops, "--output", tmp_path / "twice")
    assert again.exit_code == 2
    assert "integers already" in again.output


def test_few_pictures_are_refused_and_nothing_is_left(floats: Path, crops: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="3 pictures"):
        in_integers(floats, output=tmp_path / "int8", pictures=sorted(crops.iterdir())[:3])
    assert not (tmp_path / "int8").exists()


def test_widened_weights_are_the_rounded_ones_without_casts(floats: Path) -> None:
    halved = onnx.load_from_string(read_folder(floats).model)
    wide = widened(halved)
    stored = {item.name: numpy_helper.to_array(item) for item in wide.graph.initializer}
    assert not [node for node in wide.graph.node if node.op_type == "Cast"]
    assert all(value.dtype != np.float16 for value in stored.values())
    for item in halved.graph.initializer:
        value = numpy_helper.to_array(item)
        if value.dtype == np.float16:
            assert np.array_equal(stored[item.name.removesuffix(".half")], value.astype(np.float32))
