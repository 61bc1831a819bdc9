from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.drawn_decisions import trainable_bundle
from tests.tiny_bundle import write_tiny

from supcam.core.types import BundleError
from supcam.learn.checkpoints import load_averaged
from supcam.learn.encoder import Network
from supcam.pack.bundle import DEFAULT_MODEL, load_model
from supcam.pack.comparison import EXACT
from supcam.pack.export import run_torch
from supcam.pack.folder import OUTPUT_NAMES
from supcam.pack.restore import restore, write_checkpoint
from supcam.pack.session import relative_difference


@pytest.mark.parametrize("shipped", [True, False])
def test_a_restored_network_says_what_its_bundle_says(tmp_path: Path, shipped: bool) -> None:
    bundle = DEFAULT_MODEL if shipped else trainable_bundle(tmp_path / "b")
    restored, model = restore(bundle), load_model(bundle, threads=1)
    size = restored.recipe.crop.size_px
    pictures = np.random.default_rng(0).random((6, 1, size, size), dtype=np.float32)
    ours, theirs = run_torch(restored.network, pictures=pictures), model.logits(pictures)
    for name in OUTPUT_NAMES:
        difference = relative_difference(getattr(ours, name), expected=getattr(theirs, name))
        assert difference <= EXACT.output, name


def test_in_training_mode_it_says_the_same_of_the_pictures_it_was_shown(tmp_path: Path) -> None:
    pictures = np.random.default_rng(1).random((32, 1, 112, 112), dtype=np.float32)
    network = restore(DEFAULT_MODEL, pictures=pictures).network
    at_rest = network(torch.from_numpy(pictures)).embedding
    learning = network.train()(torch.from_numpy(pictures)).embedding
    assert relative_difference(learning.numpy(), expected=at_rest.numpy()) < 1e-3


def test_a_run_can_start_from_its_checkpoint(tmp_path: Path) -> None:
    restored = restore(trainable_bundle(tmp_path / "b"))
    start = write_checkpoint(restored, path=tmp_path / "start.ckpt")
    network = Network(restored.recipe.network, seed=9)
    load_averaged(network, path=start)
    assert all(
        torch.equal(value, restored.network.state_dict()[name])
        for name, value in network.state_dict().items()
    )


def test_a_bundle_that_does_not_say_its_network_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    with pytest.raises(BundleError, match="does not say what network"):
        restore(tmp_path / "tiny")
