"""Packages of the BioImage Model Zoo: what is in them; nothing is written that its own tests refuse."""

from __future__ import annotations

import importlib.util
import io
import json
import socket
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import VERSION
from tests.tiny_bundle import write_tiny

from supcam.core.types import BundleError, SupcamError
from supcam.pack import model_zoo as module
from supcam.pack.bundle import DEFAULT_MODEL, load_model
from supcam.pack.folder import OUTPUT_NAMES, contents_of, read_folder
from supcam.pack.model_zoo import describe, draw_cover, write_zoo

needs_zoo = pytest.mark.skipif(
    importlib.util.find_spec("bioimageio") is None or tuple(map(int, VERSION.split(".")[:2])) >= (2, 14),
    reason='not installed: pip install "supcam[zoo]"',
)


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that would have been tested, whether bioimageio.core is there or not."""
    seen: list[Path] = []

    def passed(folder: Path) -> str:
        seen.append(folder)
        return "passed"

    monkeypatch.setattr(module, "_require_passed", passed)
    return seen


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(folder)
    return folder


def test_every_file_that_is_named_is_there(bundle: Path, tmp_path: Path, untested: list[Path]) -> None:
    report = write_zoo(bundle, output=tmp_path / "zoo")
    assert len(untested) == 1
    assert report.n_bytes == sum(path.stat().st_size for path in report.folder.iterdir())
    told: dict[str, Any] = json.loads((tmp_path / "zoo" / "rdf.yaml").read_text())
    named = {told["documentation"], *told["covers"], told["weights"]["onnx"]["source"]}
    named |= {each["source"] for each in told["attachments"]}
    named |= {each["test_tensor"]["source"] for each in told["inputs"] + told["outputs"]}
    assert {path.name for path in report.folder.iterdir()} == named | {"rdf.yaml"}


def test_test_tensors_are_the_probe(bundle: Path, tmp_path: Path, untested: list[Path]) -> None:
    write_zoo(bundle, output=tmp_path / "zoo")
    files = read_folder(bundle)
    told: dict[str, Any] = json.loads((tmp_path / "zoo" / "rdf.yaml").read_text())
    assert [each["id"] for each in told["outputs"]] == [*OUTPUT_NAMES]
    for each in [*told["inputs"], *told["outputs"]]:
        array = np.load(tmp_path / "zoo" / each["test_tensor"]["source"], allow_pickle=False)
        source = files.probe if each["id"] == "picture" else files.probe.expected
        np.testing.assert_array_equal(array, getattr(source, each["id"]))
        sizes = [
            len(axis["channel_names"]) if axis["type"] == "channel" else axis.get("size")
            for axis in each["axes"]
        ]
        assert sizes == [None, *array.shape[1:]]


def test_supcam_reads_the_package_as_a_model(bundle: Path, tmp_path: Path, untested: list[Path]) -> None:
    write_zoo(bundle, output=tmp_path / "zoo")
    assert load_model(tmp_path / "zoo", threads=1).card == load_model(bundle, threads=1).card


def test_long_descriptions_end_with_a_sentence() -> None:
    files = read_folder(DEFAULT_MODEL)
    text = str(describe(files)["description"])
    assert files.card.description.startswith(text)
    assert len(text) <= 512
    assert text.endswith(".")


def test_the_cover_shows_four_pictures(bundle: Path) -> None:
    cover = draw_cover(read_folder(DEFAULT_MODEL).probe)
    assert cover.shape == (400, 800, 3)
    assert all(np.ptp(cover[:200, 200 * n : 200 * n + 200]) > 100 for n in range(4))
    assert draw_cover(read_folder(bundle).probe).shape == (400, 800, 3)
    assert len(cv2.imencode(".png", cover)[1]) < 500_000


def test_a_package_that_fails_is_not_written(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(_folder: Path) -> str:
        raise module._failed("output mismatch")

    monkeypatch.setattr(module, "_require_passed", failed)
    with pytest.raises(BundleError, match="output mismatch"):
        write_zoo(bundle, output=tmp_path / "zoo")
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(importlib.util.find_spec("bioimageio") is not None, reason="bioimageio.core is installed")
def test_without_the_zoos_package_nothing_is_written(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(SupcamError, match=r"supcam\[zoo\]"):
        write_zoo(bundle, output=tmp_path / "zoo")
    assert not [*tmp_path.iterdir()]


@needs_zoo
def test_the_zoos_own_tests_pass_without_a_network(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError("the network is off")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert write_zoo(DEFAULT_MODEL, output=tmp_path / "zoo").status == "passed"


@needs_zoo
def test_the_zoos_own_tests_see_other_outputs(bundle: Path, tmp_path: Path) -> None:
    files = read_folder(bundle)
    for name, content in contents_of(files).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "rdf.yaml").write_text(json.dumps(describe(files)))
    (tmp_path / "README.md").write_text("# tiny\n")
    (tmp_path / "cover.png").write_bytes(cv2.imencode(".png", draw_cover(files.probe))[1].tobytes())
    for name, content in module._tensors(files.probe).items():
        (tmp_path / name).write_bytes(content)
    assert module._require_passed(tmp_path) == "passed"
    stream = io.BytesIO()
    np.save(stream, files.probe.expected.type_logits + 1)
    (tmp_path / "test_type_logits.npy").write_bytes(stream.getvalue())
    with pytest.raises(BundleError, match="does not pass"):
        module._require_passed(tmp_path)
