"""A float network -> the same in 8-bit integers, with scales that were measured on pictures.

Convolutions and sums take and give unsigned 8-bit activations, one scale a tensor; kernels are signed 8-bit
numbers, one scale a channel. The heads stay in float32. The rarest activations are cut off: scales that
reach the largest value of all leave too few steps for the others, and counts suffer. How rare is tried out,
and what moves the answers least is taken (``docs/results.md``).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from typing_extensions import override

from supcam.core.types import BundleError
from supcam.pack.comparison import run_batches
from supcam.pack.folder import Outputs
from supcam.pack.session import Pictures, open_session

Logits = Float32[np.ndarray, "batch classes"]

LEAST_PICTURES = 100
"""Fewer pictures would not show how large activations get."""
MOST_PICTURES = 400
"""More would not tell more; taken evenly from those that were given."""
KEPT_PERCENTS = (99.99, 99.999, 99.9995, 99.9999)
"""Shares of the activations, by number, that scales may reach."""
_BATCH = 16
_QUANTIZED = "_quantized"
_HEADS = ("type_logits", "count_logits", "chromosome_logit", "type_map")


def quantize(model: onnx.ModelProto, *, pictures: Pictures) -> onnx.ModelProto:
    """``model`` in 8-bit integers, as ONNX's QuantizeLinear and DequantizeLinear around its layers.

    ``pictures`` are network inputs like those it will meet, a hundred at least: they set the scales, and of
    ``KEPT_PERCENTS`` that is taken with which the answers to them move least (``moved``). Raises
    ``BundleError`` for fewer, and for a network that does not make each output by one node.
    """
    if len(pictures) < LEAST_PICTURES:
        raise BundleError(
            f"{len(pictures)} pictures to measure activations on",
            expected=f"{LEAST_PICTURES} or more crops like those that the model will meet",
            remedy="name more with --compare, or keep float16 weights",
        )
    shown = np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_PICTURES)).round().astype(int)
    chosen = pictures[shown]
    tried = [_in_integers(model, pictures=chosen, kept_percent=percent) for percent in KEPT_PERCENTS]
    meant = _outputs(model, chosen)
    return min(tried, key=lambda one: moved(_outputs(one, chosen), meant=meant))


def moved(said: Outputs, *, meant: Outputs) -> float:
    """How far types and numbers moved: the mean Kullback-Leibler divergence of both from ``meant``."""
    pairs = ((said.type_logits, meant.type_logits), (said.count_logits, meant.count_logits))
    return sum(_divergence(a, meant=b) for a, b in pairs)


def _divergence(said: Logits, *, meant: Logits) -> float:
    logs, meant_logs = (one - np.logaddexp.reduce(one, axis=1, keepdims=True) for one in (said, meant))
    return float((np.exp(meant_logs) * (meant_logs - logs)).sum(axis=1).mean())


def _outputs(model: onnx.ModelProto, pictures: Pictures) -> Outputs:
    session = open_session(model.SerializeToString(), threads=1, where="a network to quantize")
    return run_batches(session, pictures=pictures, batch_size=_BATCH)


def _in_integers(model: onnx.ModelProto, *, pictures: Pictures, kept_percent: float) -> onnx.ModelProto:
    """``model`` in integers, its scales reaching that share of the activations on ``pictures``."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        float_path, int8_path = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, float_path)
        quantize_static(
            float_path,
            int8_path,
            _Feed(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            nodes_to_exclude=_heads(model),
            extra_options={"CalibPercentile": kept_percent},
        )
        quantized = onnx.load(int8_path)
    quantized.producer_name = model.producer_name
    quantized.producer_version = model.producer_version
    return quantized


def dequantized(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The kernels and biases that ``quantize`` stored as integers, in float32, by their names before."""
    stored = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    found: dict[str, np.ndarray] = {}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in stored:
            continue
        values, scale = stored[node.input[0]], stored[node.input[1]]
        axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
        shape = [-1 if place == axis else 1 for place in range(values.ndim)] if scale.ndim else []
        zero = np.reshape(stored[node.input[2]].astype(np.float32), shape) if len(node.input) > 2 else 0
        steps = values.astype(np.float32) - zero
        found[node.input[0].removesuffix(_QUANTIZED)] = np.asarray(
            steps * np.reshape(scale, shape), np.float32
        )
    return found


class _Feed(CalibrationDataReader):  # type: ignore[misc]
    """Pictures one after the other, as the quantizer wants them."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures: Iterator[Float32[np.ndarray, "1 size size"]] = iter(pictures)

    @override
    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, None when there is none."""
        picture = next(self._pictures, None)
        return None if picture is None else {"picture": picture[None]}


def _heads(model: onnx.ModelProto) -> list[str]:
    """The nodes that stay in float32: everything that makes logits or the type map."""
    names = [node.name for node in model.graph.node if {*_HEADS} & {*node.output}]
    if len(names) != len(_HEADS):
        raise BundleError(
            f"a network that makes {len(names)} of its outputs by a node of their own",
            expected=f"{', '.join(_HEADS)}, each by one",
            remedy="keep float16 weights",
        )
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the quantizer prints and advises on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(before)
