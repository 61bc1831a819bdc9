"""A bundle -> the same in 8-bit integers: its words, calibration and reference stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from supcam.core.config import ImageConfig
from supcam.core.types import BundleError, ImageError
from supcam.pack.bundle import ImageLike, load_model, read_crop
from supcam.pack.card import Card, CardText
from supcam.pack.comparison import TOLERANCES, Trained, compare, run_batches
from supcam.pack.folder import BundleFiles, Probe, parts_of, read_folder, refuse_existing, write_folder
from supcam.pack.quantize import quantize
from supcam.pack.session import Pictures, Session, open_session

_BATCH = 16


@dataclass(frozen=True, slots=True)
class InIntegers:
    """The card of a new bundle in integers, and which pictures could not be read and played no part."""

    card: Card
    unread: tuple[str, ...]


def in_integers(
    bundle: Path, *, output: Path, pictures: Sequence[ImageLike], version: str = ""
) -> InIntegers:
    """The new bundle in ``output``, which computes in integers as ``bundle`` does in floats.

    ``pictures`` are crops like those it will meet, a hundred at least, single chromosomes and debris among
    them: they set the scales, and on them both are compared. ``version`` takes the place of the model's own.
    Raises ``BundleError`` for a bundle that cannot be used or is in integers already, too few pictures, an
    output that exists, and when more than a few decisions differ. Pictures without an object are left out.
    """
    refuse_existing(output)
    files = read_folder(bundle)
    _require_floats(files)
    squares, unread = _squares(pictures, card=files.card)
    exact = widened(onnx.load_from_string(files.model))
    model = quantize(exact, pictures=squares).SerializeToString()
    meant = run_batches(_session(files.model), pictures=squares, batch_size=_BATCH)
    text = CardText.model_validate({name: getattr(files.card, name) for name in CardText.model_fields})
    trained = Trained(pictures=squares, outputs=meant, text=text, calibration=files.calibration)
    comparison = compare(_session(model), trained=trained, tolerance=TOLERANCES["int8"])
    shown = files.probe.picture
    parts = replace(
        parts_of(files),
        model=model,
        weights="int8",
        probe=Probe(picture=shown, expected=run_batches(_session(model), pictures=shown, batch_size=1)),
        text=text.model_copy(update={"comparison": comparison, "version": version or text.version}),
    )
    card = write_folder(output, parts=parts)
    load_model(output, threads=1)
    return InIntegers(card, unread=unread)


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` whose float16 weights are stored in float32, without the casts to it."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    stored = {item.name: item for item in wide.graph.initializer}
    nodes = []
    for node in wide.graph.node:
        halved = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if halved is None or halved.data_type != TensorProto.FLOAT16:
            nodes.append(node)
            continue
        weights = numpy_helper.to_array(halved).astype(np.float32)
        halved.CopyFrom(numpy_helper.from_array(weights, node.output[0]))
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    wide.graph.ClearField("node")
    wide.graph.node.extend(kept)
    onnx.checker.check_model(wide)
    return wide


def _require_floats(files: BundleFiles) -> None:
    if files.card.weights == "int8":
        raise BundleError(
            "a model in integers already",
            expected="one with float16 or float32 weights",
            remedy="use it as it is",
            where=files.folder,
        )


def _squares(pictures: Sequence[ImageLike], *, card: Card) -> tuple[Pictures, tuple[str, ...]]:
    """The network inputs of those pictures that can be read, and what is wrong with the others."""
    squares, unread = [], []
    for picture in pictures:
        try:
            squares.append(read_crop(picture, card=card, image_config=ImageConfig()).square)
        except ImageError as error:
            unread.append(str(error))
    size = card.crop.size_px
    shape = (len(squares), 1, size, size)
    return np.array(squares, np.float32).reshape(shape), tuple(unread)


def _session(model: bytes) -> Session:
    return open_session(model, threads=1, where="a model to compare")
