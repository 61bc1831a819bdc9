"""Bundle -> a model package of the BioImage Model Zoo (bioimage.io), which its own tests must pass first."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from supcam.core.types import BundleError, ClusterType, SupcamError
from supcam.pack.card import to_json
from supcam.pack.folder import (
    CARD,
    MODEL,
    OUTPUT_NAMES,
    BundleFiles,
    Probe,
    contents_of,
    read_folder,
    refuse_existing,
    write_contents,
)
from supcam.pack.readme import METHOD, METHOD_DOI, TAGS, readme_of
from supcam.pack.session import open_session, verify_probe

DESCRIPTION = "rdf.yaml"
FORMAT = "0.5.4"
"""Version of the zoo's model description that is written."""
_INPUT, _COVER, _README = "test_input.npy", "cover.png", "README.md"
_LABELS = [kind.label for kind in ClusterType]
_TILE_PX = 200
_CEILING = 2.5
_MOST_WORDS = 512
"""Longer descriptions are cut after a sentence: the page has the whole."""
_USAGE = """
import supcam                        # with its own preprocessing and calibration: pictures to types
model = supcam.load_model(".")

import numpy as np                   # or the network alone, as the zoo runs it
from bioimageio.core import load_description, predict
outputs = predict(model=load_description("rdf.yaml"), inputs={"picture": np.load("test_input.npy")})
"""
_WORDS = {
    "type_logits": "One logit for each type.",
    "count_logits": "One logit for each number of chromosomes, the last for so many or more.",
    "chromosome_logit": "Whether it is a chromosome at all.",
    "embedding": "The pooled feature, for similarity.",
    "type_map": "What speaks for each type, place by place.",
}


@dataclass(frozen=True, slots=True)
class ZooReport:
    """A finished package: its folder, its size, and what the zoo's own test said."""

    folder: Path
    n_bytes: int
    status: str

    def told(self) -> str:
        """The whole report in one line."""
        return f"{self.folder}: {self.n_bytes / 1e6:.2f} MB, tested by bioimageio.core: {self.status}"


def write_zoo(bundle: Path, *, output: Path) -> ZooReport:
    """The package of ``bundle`` in the new folder ``output``; ``load_model`` reads that folder, too.

    It holds the description, the ONNX weights, test tensors from the bundle's probe, a cover, a page, and the
    bundle's own files. It is written only when bioimageio.core finds its format right and its test outputs
    reproduced, without asking the network. Raises ``SupcamError`` without that package, ``BundleError`` for a
    bundle that cannot be used, an ``output`` that exists, or a package that fails.
    """
    refuse_existing(output)
    files = read_folder(bundle)
    verify_probe(
        open_session(files.model, threads=1, where=str(bundle)), probe=files.probe, where=str(bundle)
    )
    contents = contents_of(files) | {
        DESCRIPTION: to_json(describe(files)),
        _README: readme_of(files.card, usage=_USAGE).encode(),
        _COVER: cv2.imencode(".png", draw_cover(files.probe))[1].tobytes(),
        **_tensors(files.probe),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        status = _require_passed(Path(folder))
    write_contents(output, contents=contents)
    return ZooReport(output, n_bytes=sum(map(len, contents.values())), status=status)


def describe(files: BundleFiles) -> dict[str, object]:
    """The description of a bundle in the zoo's terms (format 0.5)."""
    card = files.card
    words = card.description or "The type and the number of chromosomes of a chromosome cluster."
    first = words[: words.rfind(".", 0, _MOST_WORDS) + 1]
    beside = [name for name in (*card.files, CARD) if name != MODEL]
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": f"SupCAM {card.name}"[:128],
        "description": words if len(words) <= _MOST_WORDS else first or words[:_MOST_WORDS],
        "version": card.version,
        "authors": [{"name": "The SupCAM developers"}],
        "cite": [{"text": METHOD, "doi": METHOD_DOI}],
        "license": "MIT",
        "tags": [*TAGS],
        "documentation": _README,
        "covers": [_COVER],
        "attachments": [{"source": name} for name in beside],
        "inputs": [_input(files)],
        "outputs": [_output(name, files=files) for name in OUTPUT_NAMES],
        "weights": {
            "onnx": {"source": MODEL, "sha256": card.model_sha256, "opset_version": card.opset},
        },
    }


def draw_cover(probe: Probe) -> UInt8[np.ndarray, "height width 3"]:
    """The first four probe pictures, dark on bright, above what spoke for the type that was read in each."""
    columns = []
    for picture, logits, maps in zip(
        probe.picture[:4, 0], probe.expected.type_logits, probe.expected.type_map, strict=False
    ):
        grey = np.rint(255 * (1 - picture / _CEILING)).astype(np.uint8)
        seen = maps[int(logits.argmax())]
        share = (seen - seen.min()) / max(float(np.ptp(seen)), 1e-6)
        upper = cv2.resize(grey, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_LINEAR)
        heat = cv2.resize(share.astype(np.float32), (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_LINEAR)
        lower = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
        columns.append(np.concatenate([cv2.cvtColor(upper, cv2.COLOR_GRAY2BGR), lower]))
    while len(columns) < 4:
        columns.append(np.full_like(columns[0], 255))
    return np.asarray(np.concatenate(columns, axis=1), dtype=np.uint8)


def _input(files: BundleFiles) -> dict[str, object]:
    size = files.probe.picture.shape[2]
    return {
        "id": "picture",
        "description": "Stain of one object at a common scale, as SupCAM's Model.prepare makes it.",
        "axes": [_BATCH_AXIS, _channels(["stain"]), _space("y", size=size), _space("x", size=size)],
        "data": {"type": "float32", "range": [0.0, _CEILING]},
        "test_tensor": {"source": _INPUT},
    }


_BATCH_AXIS = {"type": "batch"}


def _output(name: str, *, files: BundleFiles) -> dict[str, object]:
    expected = getattr(files.probe.expected, name)
    names = {
        "type_logits": _LABELS,
        "type_map": _LABELS,
        "count_logits": [f"n{n}" for n in range(1, expected.shape[1] + 1)],
        "chromosome_logit": ["chromosome"],
    }.get(name) or [f"feature{n}" for n in range(expected.shape[1])]
    space = [_space(axis, size=n) for axis, n in zip("yx", expected.shape[2:], strict=False)]
    return {
        "id": name,
        "description": _WORDS[name],
        "axes": [_BATCH_AXIS, _channels(names), *space],
        "data": {"type": "float32"},
        "test_tensor": {"source": f"test_{name}.npy"},
    }


def _channels(names: list[str]) -> dict[str, object]:
    return {"type": "channel", "channel_names": names}


def _space(axis: str, *, size: int) -> dict[str, object]:
    return {"type": "space", "id": axis, "size": size}


def _tensors(probe: Probe) -> dict[str, bytes]:
    arrays = {_INPUT: probe.picture}
    arrays |= {f"test_{name}.npy": getattr(probe.expected, name) for name in OUTPUT_NAMES}
    return {name: _npy(array) for name, array in arrays.items()}


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _require_passed(folder: Path) -> str:
    """What the zoo's own test says of the package in ``folder``. Raises ``BundleError`` where it fails."""
    try:
        from bioimageio.core import test_model  # noqa: PLC0415  only whoever writes a package needs it
        from bioimageio.spec import ValidationContext  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SupcamError(
            f"no {error.name} in this installation",
            expected="bioimageio.core, which tests the package",
            remedy='pip install "supcam[zoo]"',
        ) from error
    with _silent(), ValidationContext(perform_io_checks=False):
        summary = test_model(folder / DESCRIPTION, weight_format="onnx")
    if summary.status != "passed":
        raise _failed(summary.format())
    return str(summary.status)


def _failed(why: str) -> BundleError:
    return BundleError(
        f"a package that bioimageio.core does not pass:\n{why}",
        expected="a package that passes",
        remedy="give the card the words that are missing, or report this",
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Without the zoo's own lines on the terminal."""
    from loguru import logger  # noqa: PLC0415  it comes with bioimageio.core

    logger.disable("bioimageio")
    try:
        yield
    finally:
        logger.enable("bioimageio")
