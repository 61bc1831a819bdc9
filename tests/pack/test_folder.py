"""A bundle on disk: round trip, every kind of tampering, and folders that are written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_bundle import tiny_model, tiny_parts, write_tiny

from supcam.core.types import BundleError
from supcam.pack.card import seal_of, to_json
from supcam.pack.folder import MOST_BYTES, OUTPUT_NAMES, read_folder, read_probe, write_folder, write_probe
from supcam.pack.reference import KnownPicture, Reference


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with everything that one may hold."""
    output = tmp_path / "bundle"
    pictures = tuple(KnownPicture(case=n, values={"width_px": 9.5 + n}) for n in range(2))
    known = Reference(embedding_mean=(0.5,), embedding_spread=(1.5,), pictures=pictures)
    write_folder(output, parts=replace(tiny_parts(tiny_model()), reference=known))
    return output


def reseal(bundle: Path) -> None:
    """The card written again so that it seals whatever the files are now: a careful forger's work."""
    values = json.loads((bundle / "card.json").read_text())
    values.pop("seal")
    for name in values["files"]:
        content = (bundle / name).read_bytes()
        values["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "n_bytes": len(content)}
    (bundle / "card.json").write_bytes(to_json(values | {"seal": seal_of(values)}))


def test_a_bundle_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    parts = tiny_parts(tiny_model())
    card = write_folder(tmp_path / "b", parts=parts)
    files = read_folder(tmp_path / "b")
    assert files.card == card
    assert files.calibration == parts.calibration
    assert files.model == parts.model
    assert np.array_equal(files.probe.picture, parts.probe.picture)
    for name in OUTPUT_NAMES:
        assert np.array_equal(getattr(files.probe.expected, name), getattr(parts.probe.expected, name))


def test_a_bundle_holds_its_files_that_others_may_read(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == set(MOST_BYTES)
    assert bundle.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_the_same_parts_make_the_same_bundle(tmp_path: Path) -> None:
    parts = tiny_parts(tiny_model())
    cards = [write_folder(tmp_path / name, parts=parts) for name in "ab"]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("name", sorted(MOST_BYTES))
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_flipped_bit_anywhere_is_refused(bundle: Path, name: str, where: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[{"first": 0, "middle": len(content) // 2, "last": -2}[where]] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError):
        read_folder(bundle)


@pytest.mark.parametrize("name", sorted(MOST_BYTES))
def test_a_file_cut_short_is_refused(bundle: Path, name: str) -> None:
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[:-1] if name != "card.json" else content[: len(content) // 2])
    with pytest.raises(BundleError, match=name):
        read_folder(bundle)


@pytest.mark.parametrize("name", sorted(MOST_BYTES))
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_folder(bundle)


@pytest.mark.parametrize("name", sorted(MOST_BYTES))
def test_a_file_too_large_is_refused_before_it_is_read(
    bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MOST_BYTES, name, 10)
    with pytest.raises(BundleError, match="more than 10 bytes"):
        read_folder(bundle)


def test_a_folder_in_the_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "probe.npz").unlink()
    (bundle / "probe.npz").mkdir()
    with pytest.raises(BundleError, match=r"probe\.npz"):
        read_folder(bundle)


def test_no_folder_and_no_bundle_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        read_folder(tmp_path / "missing")
    with pytest.raises(BundleError, match=r"card\.json"):
        read_folder(tmp_path)


def test_a_resealed_calibration_with_unknown_keys_is_refused(bundle: Path) -> None:
    (bundle / "calibration.json").write_text('{"temperature": 1.0, "extra": 2}')
    reseal(bundle)
    with pytest.raises(BundleError, match="extra"):
        read_folder(bundle)


def test_a_resealed_probe_with_pickled_objects_is_refused_unopened(bundle: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch trapped",)

    np.savez(bundle / "probe.npz", picture=np.array([Trap()], dtype=object))
    reseal(bundle)
    with pytest.raises(BundleError, match=r"probe\.npz"):
        read_folder(bundle)


def test_a_resealed_model_with_weights_elsewhere_is_refused(bundle: Path) -> None:
    model = tiny_model()
    model.graph.initializer[0].data_location = 1
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    reseal(bundle)
    with pytest.raises(BundleError, match="another file"):
        read_folder(bundle)


def test_a_card_that_lists_other_files_is_refused(bundle: Path) -> None:
    shutil.copy(bundle / "model.onnx", bundle / "more.onnx")
    values = json.loads((bundle / "card.json").read_text())
    values.pop("seal")
    values["files"]["more.onnx"] = values["files"]["model.onnx"]
    (bundle / "card.json").write_bytes(to_json(values | {"seal": seal_of(values)}))
    with pytest.raises(BundleError, match=r"more\.onnx"):
        read_folder(bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"picture": np.zeros((2, 1, 8, 8))},
        {"picture": np.zeros((2, 8, 8), np.float32)},
        {"picture": np.zeros((0, 1, 8, 8), np.float32)},
        {"embedding": np.zeros((3, 8), np.float32)},
        {"type_map": np.zeros((2, 4), np.float32)},
    ],
)
def test_a_probe_of_other_arrays_is_refused(change: dict[str, np.ndarray], tmp_path: Path) -> None:
    probe = tiny_parts(tiny_model()).probe
    arrays = {name: getattr(probe.expected, name) for name in OUTPUT_NAMES} | {"picture": probe.picture}
    np.savez(tmp_path / "p.npz", **(arrays | change))
    with pytest.raises(BundleError, match=next(iter(change)) + "|lengths"):
        read_probe((tmp_path / "p.npz").read_bytes(), where="p.npz")


def test_a_probe_that_unfolds_without_end_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("picture.npy", bytes(80_000_000))
    with pytest.raises(BundleError, match="larger than a probe"):
        read_probe((tmp_path / "p.npz").read_bytes(), where="p.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"text"])
def test_bytes_that_are_no_probe_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="no probe"):
        read_probe(content, where="p.npz")


def test_a_damaged_probe_is_refused() -> None:
    content = bytearray(write_probe(tiny_parts(tiny_model()).probe))
    content[200:400] = bytes(200)
    with pytest.raises(BundleError, match="no probe"):
        read_probe(bytes(content), where="p.npz")


@pytest.mark.parametrize("kind", ["bundle", "file", "empty folder", "broken link"])
def test_whatever_is_there_already_is_left_alone(tmp_path: Path, kind: str) -> None:
    output = tmp_path / "b"
    if kind == "bundle":
        write_tiny(output)
    elif kind == "file":
        output.write_text("mine")
    elif kind == "empty folder":
        output.mkdir()
    else:
        output.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError, match="something there already"):
        write_tiny(output)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match="No space left"):
        write_tiny(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_an_output_inside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        write_tiny(tmp_path / "file" / "b")
