"""A bundle on disk: written whole or not at all, read only when it is what its card says."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from supcam.core.types import BundleError
from supcam.pack.card import (
    FORMAT_VERSION,
    Calibration,
    Card,
    CardText,
    FileSeal,
    compact_json,
    parse_calibration,
    parse_card,
    seal_of,
    to_json,
)
from supcam.pack.onnx_scan import refuse_external_data
from supcam.pack.reference import Reference, parse_reference

CARD, MODEL, CALIBRATION, PROBE = "card.json", "model.onnx", "calibration.json", "probe.npz"
REFERENCE = "reference.json"
"""What known pictures are like: a bundle may do without."""
MOST_BYTES = {
    CARD: 4_000_000,
    MODEL: 1_000_000_000,
    CALIBRATION: 100_000,
    PROBE: 16_000_000,
    REFERENCE: 16_000_000,
}
"""Files larger than this are refused before they are read."""
_MOST_PROBE_BYTES = 64_000_000
_REMEDY = "fetch the bundle again"


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the network says about a batch of pictures, under the names of the ONNX outputs.

    ``type_map`` is the class activation before pooling: its mean over the place plus the type head's bias is
    ``type_logits``.
    """

    type_logits: Float32[np.ndarray, "batch 4"]
    count_logits: Float32[np.ndarray, "batch counts"]
    chromosome_logit: Float32[np.ndarray, "batch 1"]
    embedding: Float32[np.ndarray, "batch dim"]
    type_map: Float32[np.ndarray, "batch 4 height width"]

    def of(self, index: int) -> Outputs:
        """What is said about picture ``index`` alone."""
        return self.rows(slice(index, index + 1))

    def rows(self, which: slice | np.ndarray) -> Outputs:
        """What is said about the pictures ``which``, in that order."""
        return Outputs(**{name: getattr(self, name)[which] for name in OUTPUT_NAMES})


OUTPUT_NAMES = tuple(field.name for field in fields(Outputs))


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Drawn network inputs and what the network said about them when the bundle was made."""

    picture: Float32[np.ndarray, "batch 1 size size"]
    expected: Outputs


@dataclass(frozen=True, slots=True, eq=False)
class BundleParts:
    """Everything that goes into a bundle. ``weights`` is how they are stored: ``float16`` or ``float32``."""

    model: bytes
    opset: int
    weights: str
    probe: Probe
    calibration: Calibration
    text: CardText
    reference: Reference | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BundleFiles:
    """The verified content of a bundle, in memory."""

    folder: Path
    card: Card
    calibration: Calibration
    model: bytes
    probe: Probe
    reference: Reference | None = None


def read_folder(folder: Path) -> BundleFiles:
    """The bundle in ``folder``, every file checked against the card.

    Raises ``BundleError``: not a bundle, too large, unknown version, unknown keys, changed since it was made,
    or weights outside ``model.onnx``.
    """
    if not folder.is_dir():
        raise BundleError(
            "no such folder", expected="a model folder", remedy="check the path of the model", where=folder
        )
    card = read_card(folder)
    sealed = {MODEL, CALIBRATION, PROBE}
    if set(card.files) - {REFERENCE} != sealed:
        raise BundleError(
            f"the files {sorted(card.files)}",
            expected=f"{sorted(sealed)}, and {REFERENCE} where there is one",
            remedy=_REMEDY,
            where=folder / CARD,
        )
    model, calibration, probe = (
        _read_sealed(folder / name, seal=card.files[name]) for name in (MODEL, CALIBRATION, PROBE)
    )
    refuse_external_data(model, where=str(folder / MODEL))
    return BundleFiles(
        folder=folder,
        card=card,
        calibration=parse_calibration(calibration, where=str(folder / CALIBRATION)),
        model=model,
        probe=read_probe(probe, where=str(folder / PROBE)),
        reference=_read_reference(folder, card=card),
    )


def _read_reference(folder: Path, *, card: Card) -> Reference | None:
    """The reference that ``card`` lists. Raises ``BundleError``; a file that it does not list is none."""
    if REFERENCE not in card.files:
        return None
    content = _read_sealed(folder / REFERENCE, seal=card.files[REFERENCE])
    return parse_reference(content, where=str(folder / REFERENCE))


def read_reference(path: Path) -> Reference:
    """The reference in a JSON file of its own. Raises ``BundleError``."""
    return parse_reference(_read_limited(path, most=MOST_BYTES[REFERENCE]), where=str(path))


def read_card(folder: Path) -> Card:
    """The card of the bundle in ``folder``, its own seal checked. Raises ``BundleError``."""
    return parse_card(_read_limited(folder / CARD), where=str(folder / CARD))


def read_calibration(path: Path) -> Calibration:
    """The calibration in a JSON file of its own. Raises ``BundleError``."""
    return parse_calibration(_read_limited(path, most=MOST_BYTES[CALIBRATION]), where=str(path))


def write_folder(output: Path, *, parts: BundleParts) -> Card:
    """The card of the bundle now in ``output``: a new folder that appears whole or not at all.

    Raises ``BundleError`` when ``output`` exists already, or cannot be written.
    """
    refuse_existing(output)
    contents = {
        MODEL: parts.model,
        CALIBRATION: to_json(parts.calibration.model_dump(mode="json")),
        PROBE: write_probe(parts.probe),
    }
    if parts.reference is not None:
        contents[REFERENCE] = compact_json(parts.reference.model_dump(mode="json"))
    card = sealed_card(parts, contents=contents)
    contents[CARD] = to_json(card.model_dump(mode="json"))
    write_contents(output, contents=contents)
    return card


def write_contents(output: Path, *, contents: dict[str, bytes]) -> None:
    """Files by their names in the new folder ``output``, which appears whole or not at all.

    Raises ``BundleError`` when ``output`` exists already, or cannot be written.
    """
    refuse_existing(output)
    try:
        _write_whole(output, contents=contents)
    except OSError as error:
        raise BundleError(
            f"that it cannot be written ({error.strerror or error})",
            expected="a folder with room in it",
            remedy="choose another output folder",
            where=output,
        ) from error


def contents_of(files: BundleFiles) -> dict[str, bytes]:
    """The files of a bundle by their names, as they were read. Raises ``BundleError`` when they changed."""
    sealed = {name: _read_sealed(files.folder / name, seal=seal) for name, seal in files.card.files.items()}
    return sealed | {CARD: _read_limited(files.folder / CARD)}


def refuse_existing(output: Path) -> None:
    """Nothing, when there is nothing at ``output`` yet. Raises ``BundleError``."""
    if os.path.lexists(output):
        raise BundleError(
            "something there already",
            expected="a new folder",
            remedy="choose another name: a bundle is never overwritten",
            where=output,
        )


def sealed_card(parts: BundleParts, *, contents: dict[str, bytes]) -> Card:
    """The card of ``parts`` with the hash of every file, sealed with its own."""
    seals = {
        name: FileSeal(sha256=hashlib.sha256(content).hexdigest(), n_bytes=len(content))
        for name, content in contents.items()
    }
    unsealed = Card(
        **dict(parts.text),
        format_version=FORMAT_VERSION,
        weights=parts.weights,
        opset=parts.opset,
        files=seals,
        seal="0" * 64,
    )
    values = unsealed.model_dump(mode="json", exclude={"seal"})
    return unsealed.model_copy(update={"seal": seal_of(values)})


def parts_of(files: BundleFiles) -> BundleParts:
    """What the bundle ``files`` was made of, to make another with some of it changed."""
    card = files.card
    return BundleParts(
        model=files.model,
        opset=card.opset,
        weights=card.weights,
        probe=files.probe,
        calibration=files.calibration,
        text=CardText.model_validate({name: getattr(card, name) for name in CardText.model_fields}),
        reference=files.reference,
    )


def write_probe(probe: Probe) -> bytes:
    """``probe`` as the content of an ``.npz`` file."""
    arrays = {name: getattr(probe.expected, name) for name in OUTPUT_NAMES}
    stream = io.BytesIO()
    np.savez_compressed(stream, picture=probe.picture, **arrays)
    return stream.getvalue()


def read_probe(content: bytes, *, where: str) -> Probe:
    """The probe in ``content``: arrays only, nothing is unpickled. Raises ``BundleError``."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_PROBE_BYTES:
                raise ValueError("arrays larger than a probe's")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in ("picture", *OUTPUT_NAMES)}
        _check_probe(arrays)
    except Exception as error:  # the readers below raise nearly anything for a damaged file
        raise BundleError(
            f"no probe ({error})", expected="the probe it was made with", remedy=_REMEDY, where=where
        ) from error
    return Probe(picture=arrays.pop("picture"), expected=Outputs(**arrays))


def _check_probe(arrays: dict[str, np.ndarray]) -> None:
    n_axes = {"picture": 4, "type_map": 4}
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.ndim != n_axes.get(name, 2) or len(array) == 0:
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
    if len({len(array) for array in arrays.values()}) > 1:
        raise ValueError("arrays of different lengths")


def _read_limited(path: Path, *, most: int | None = None) -> bytes:
    """The content of ``path``, no more of it than a bundle's file may have. Raises ``BundleError``."""
    most = most or MOST_BYTES[path.name]
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise BundleError(
            f"that it cannot be read ({error.strerror or error})",
            expected=f"a file; a bundle holds {', '.join(MOST_BYTES)}",
            remedy="check the path, or fetch the bundle again",
            where=path,
        ) from error
    if len(content) > most:
        raise BundleError(f"more than {most} bytes", expected="a smaller file", remedy=_REMEDY, where=path)
    return content


def _read_sealed(path: Path, *, seal: FileSeal) -> bytes:
    """The content of ``path``. Raises ``BundleError`` when it is not what the card sealed."""
    content = _read_limited(path)
    if len(content) != seal.n_bytes or hashlib.sha256(content).hexdigest() != seal.sha256:
        raise BundleError(
            "a file that was changed or cut short after the bundle was made",
            expected=f"{seal.n_bytes} bytes with SHA-256 {seal.sha256}",
            remedy=_REMEDY,
            where=path,
        )
    return content


def _write_whole(output: Path, *, contents: dict[str, bytes]) -> None:
    """All files in a new folder beside ``output``, which then takes its name."""
    parent = output.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".part", dir=parent))
    try:
        for name, content in contents.items():
            with (part / name).open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        part.chmod(0o755)
        part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
