"""Grad-CAM: the gradient times the activation, summed over channels; a stage that is not there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_training import SIZE_PX, tiny_recipe

from supcam.core.types import ClusterType, TrainingError
from supcam.learn.checkpoints import FORMAT_VERSION, OWN_KEY, write_atomically
from supcam.learn.encoder import Network

pytest.importorskip("captum", reason="the extra explain is not installed")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cam") / "last.ckpt"
    network = Network(tiny_recipe().network, seed=5)
    own = {"recipe": tiny_recipe().model_dump(mode="json"), "data_hash": "", "format_version": FORMAT_VERSION}
    state = {f"average.{name}": value for name, value in network.state_dict().items()}
    write_atomically({"state_dict": state, OWN_KEY: own, "global_step": 0}, path=path)
    return path


def test_it_is_gradient_times_activation_at_the_last_stage(checkpoint: Path) -> None:
    from supcam.learn.attribution import grad_cam

    pictures = np.random.default_rng(0).random((2, 1, SIZE_PX, SIZE_PX), np.float32)
    types = [ClusterType.TOUCHING, ClusterType.OVERLAPPING]
    heats = grad_cam(checkpoint, pictures=pictures, types=types, layer="layer4")
    network = Network(tiny_recipe().network, seed=5).eval()
    features = network.backbone(torch.from_numpy(pictures)).detach()
    weight = network.type_head.weight.detach()
    for n, kind in enumerate(types):
        # the head is linear in the mean, so that the gradient is its weight, evenly over the places
        gradient = (weight[int(kind)] - weight[0]) / features[n, 0].numel()
        cam = (gradient[:, None, None] * features[n]).sum(0)
        assert heats[n].mean() == pytest.approx(float(cam.mean()), abs=1e-6)


def test_an_unknown_stage_is_named_with_those_that_are_there(checkpoint: Path) -> None:
    from supcam.learn.attribution import grad_cam

    blank = np.zeros((1, 1, SIZE_PX, SIZE_PX), np.float32)
    with pytest.raises(TrainingError, match="layer4"):
        grad_cam(checkpoint, pictures=blank, types=[ClusterType.TOUCHING], layer="layer9")
