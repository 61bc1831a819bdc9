"""Checkpoints and model folders on their way to other programs: who is asked, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.drawn_decisions import trainable_bundle

from supcam.core.types import BundleError, ConfigError
from supcam.learn.hub import HubNetwork
from supcam.pack import model_zoo
from supcam.pack.bundle import load_model
from supcam.pack.restore import restore, write_checkpoint
from supcam.workflows.packing import Form, PackingPlan, pack


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trainable_bundle(tmp_path_factory.mktemp("models") / "b")


@pytest.fixture(scope="module")
def checkpoint(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(restore(bundle), path=tmp_path_factory.mktemp("runs") / "last.ckpt")


def test_a_checkpoint_becomes_a_bundle(checkpoint: Path, tmp_path: Path) -> None:
    report = pack(PackingPlan(checkpoint, output=tmp_path / "model"))
    assert "ONNX Runtime against torch" in report.told()
    assert load_model(tmp_path / "model", threads=1).card.weights == "float16"


def test_a_checkpoint_becomes_another_form_with_its_card(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('name = "mine"\nversion = "3.1.0"\n')
    plan = PackingPlan(
        checkpoint,
        output=tmp_path / "hub",
        form=Form.SAFETENSORS,
        card=tmp_path / "card.toml",
        weights="float32",
    )
    assert "as safetensors" in pack(plan).told()
    card = load_model(tmp_path / "hub", threads=1).card
    assert (card.name, card.version, card.weights) == ("mine", "3.1.0", "float32")
    own = torch.load(checkpoint, weights_only=True)["state_dict"]
    written = HubNetwork.from_pretrained(tmp_path / "hub").network.state_dict()
    assert torch.equal(written["type_head.weight"], own["average.type_head.weight"])
    assert {path.name for path in tmp_path.iterdir()} == {"hub", "card.toml"}


@pytest.mark.parametrize("form", [Form.BIOIMAGEIO, Form.SAFETENSORS])
def test_a_model_folder_becomes_another_form(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form
) -> None:
    monkeypatch.setattr(model_zoo, "_require_passed", lambda _folder: "passed")
    pack(PackingPlan(bundle, output=tmp_path / "out", form=form))
    expected = "rdf.yaml" if form is Form.BIOIMAGEIO else "model.safetensors"
    assert (tmp_path / "out" / expected).is_file()
    assert load_model(tmp_path / "out", threads=1).card == load_model(bundle, threads=1).card


def test_what_makes_no_sense_is_refused(bundle: Path, tmp_path: Path) -> None:
    plan = PackingPlan(bundle, output=tmp_path / "out", form=Form.SAFETENSORS)
    with pytest.raises(ConfigError, match="that is to become a model folder"):
        pack(replace(plan, form=Form.BUNDLE))
    options = {
        "card": tmp_path, "calibration": tmp_path, "compare": ("a.png",), "average_with": (tmp_path,),
        "weights": "float32",
    }  # fmt: skip
    for name, value in options.items():
        with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} with a model folder"):
            pack(replace(plan, **cast("dict[str, Any]", {name: value})))
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="something there already"):
        pack(plan)
