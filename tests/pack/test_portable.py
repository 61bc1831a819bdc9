"""The network in torch's own forms says what the bundle says, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.drawn_decisions import trainable_bundle
from tests.tiny_bundle import write_tiny

from supcam.core.types import BundleError
from supcam.learn.hub import HubNetwork
from supcam.pack import portable as module
from supcam.pack.bundle import load_model
from supcam.pack.comparison import EXACT
from supcam.pack.export import run_torch
from supcam.pack.folder import OUTPUT_NAMES
from supcam.pack.portable import Form, write_portable
from supcam.pack.restore import restore, write_checkpoint
from supcam.pack.session import relative_difference


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trainable_bundle(tmp_path_factory.mktemp("models") / "b")


def drawn_inputs(bundle: Path, *, n: int = 5) -> np.ndarray:
    size = load_model(bundle, threads=1).card.crop.size_px
    return np.random.default_rng(0).random((n, 1, size, size), dtype=np.float32)


def test_one_folder_serves_both_libraries(bundle: Path, tmp_path: Path) -> None:
    report = write_portable(bundle, output=tmp_path / "hub", form="safetensors")
    assert "model.safetensors" in {path.name for path in report.folder.iterdir()}
    assert report.n_bytes == sum(path.stat().st_size for path in report.folder.iterdir())
    pictures = drawn_inputs(bundle)
    ours = load_model(tmp_path / "hub", threads=1).logits(pictures)
    theirs = run_torch(HubNetwork.from_pretrained(tmp_path / "hub"), pictures=pictures)
    for name in OUTPUT_NAMES:
        difference = relative_difference(getattr(theirs, name), expected=getattr(ours, name))
        assert difference <= EXACT.output, name
    page = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    assert page.startswith("---\nlicense: mit\n")
    assert "Not a medical device" in page


def test_a_program_needs_torch_alone_and_takes_any_batch(bundle: Path, tmp_path: Path) -> None:
    report = write_portable(bundle, output=tmp_path / "program", form="torch")
    assert report.difference <= EXACT.output
    program = torch.export.load(tmp_path / "program" / "model.pt2").module()
    model = load_model(bundle, threads=1)
    for n in (1, 5):
        pictures = drawn_inputs(bundle, n=n)
        said = program(torch.from_numpy(pictures))
        expected = model.logits(pictures)
        for name, got in zip(OUTPUT_NAMES, said, strict=True):
            assert relative_difference(got.numpy(), expected=getattr(expected, name)) <= EXACT.output, name
    card = json.loads((tmp_path / "program" / "card.json").read_text())
    assert card["name"] == "tiny"


def test_a_checkpoints_own_weights_are_written(bundle: Path, tmp_path: Path) -> None:
    """They are not those of the bundle, which were rounded, and have the norm layers that they had."""
    restored = restore(bundle)
    with torch.no_grad():
        restored.network.type_head.weight[0, 0] += 3e-5
    checkpoint = write_checkpoint(restored, path=tmp_path / "own.ckpt")
    write_portable(bundle, output=tmp_path / "own", form="safetensors", checkpoints=(checkpoint,))
    written = HubNetwork.from_pretrained(tmp_path / "own").network.state_dict()
    assert all(torch.equal(written[name], value) for name, value in restored.network.state_dict().items())


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_another_network_is_not_written(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form
) -> None:
    restored = restore(bundle)
    with torch.no_grad():
        restored.network.type_head.weight.mul_(1.1)
    monkeypatch.setattr(module, "restore", lambda _bundle: restored)
    with pytest.raises(BundleError, match="away from ONNX Runtime's"):
        write_portable(bundle, output=tmp_path / "out", form=form)
    assert not [*tmp_path.iterdir()]


def test_what_cannot_be_written_is_refused(bundle: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    with pytest.raises(BundleError, match="does not say what network"):
        write_portable(tmp_path / "tiny", output=tmp_path / "out", form="torch")
    with pytest.raises(BundleError, match="something there already"):
        write_portable(bundle, output=tmp_path / "tiny", form="torch")
