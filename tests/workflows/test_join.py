"""Checkpoints and model folders become one network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.commands import supcam_
from tests.stirred import stirred

from supcam.learn.checkpoints import FINETUNE, FORMAT_VERSION, OWN_KEY, STEP, load_network, write_atomically
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.pack.export import ExportPlan, export

RECIPE = Recipe(network=NetworkConfig(backbone="resnet10t", channels=(8, 8, 16, 16)), crop={"size_px": 64})


def trained(path: Path, *, seed: int) -> Path:
    network = stirred(Network(RECIPE.network, seed=seed)).eval()
    own = {
        "format_version": FORMAT_VERSION,
        STEP: FINETUNE,
        "recipe": RECIPE.model_dump(mode="json"),
        "data_hash": f"data {seed}",
        "init_sha256": None,
    }
    state = {f"average.{name}": value for name, value in network.state_dict().items()}
    write_atomically({OWN_KEY: own, "state_dict": state, "global_step": 5}, path=path)
    return path


def logits(path: Path) -> torch.Tensor:
    picture = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return torch.as_tensor(load_network(path).network(picture).type_logits)


def test_a_checkpoint_and_a_model_folder_become_one(tmp_path: Path) -> None:
    one, two = (trained(tmp_path / f"{seed}.ckpt", seed=seed) for seed in (1, 2))
    export(two, output=tmp_path / "model", plan=ExportPlan(weights="float32"))
    result = supcam_("join", one, tmp_path / "model", "--output", tmp_path / "both.ckpt")
    assert result.exit_code == 0, result.output
    mean = (logits(one) + logits(two)) / 2
    torch.testing.assert_close(logits(tmp_path / "both.ckpt"), mean, atol=1e-4, rtol=1e-3)
    assert "bundle unnamed" in load_network(tmp_path / "both.ckpt").parts[1]["data_hash"]


def test_one_part_alone_is_told(tmp_path: Path) -> None:
    result = supcam_("join", trained(tmp_path / "1.ckpt", seed=1), "--output", tmp_path / "both.ckpt")
    assert result.exit_code == 2
    assert "two or more" in result.output
    assert not (tmp_path / "both.ckpt").exists()


@pytest.mark.parametrize("missing", ["nothing.ckpt", "empty"])
def test_a_part_that_is_none_is_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    one = trained(tmp_path / "1.ckpt", seed=1)
    result = supcam_("join", one, tmp_path / missing, "--output", tmp_path / "both.ckpt")
    assert result.exit_code == 2
    assert missing in result.output
