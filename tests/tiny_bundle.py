"""A bundle small enough for every test: one convolution with drawn weights, built without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from supcam.core.config import CropConfig
from supcam.pack.card import Calibration, Card, CardText, HeadsTrained
from supcam.pack.folder import OUTPUT_NAMES, BundleParts, Outputs, Probe, write_folder

SIZE_PX, DIM, COUNTS, OPSET = 64, 8, 5, 18


def tiny_model(*, seed: int = 0, gain: float = 20.0, type_bias: float = 0.0) -> onnx.ModelProto:
    """An ONNX model with the outputs of the contract; ``gain`` spreads its logits."""
    rng = np.random.default_rng(seed)
    draw = {"kernel": (DIM, 1, 5, 5), "type": (4, DIM), "count": (COUNTS, DIM), "chromosome": (1, DIM)}
    weights = {
        name: (rng.standard_normal(shape) * (1 if name == "kernel" else gain)).astype(np.float32)
        for name, shape in draw.items()
    }
    weights["type_kernel"] = weights["type"][:, :, None, None]
    weights["type_bias"] = np.array([type_bias, 0, 0, 0], np.float32)
    return _assemble(weights)


def tiny_parts(model: onnx.ModelProto, *, calibration: Calibration | None = None) -> BundleParts:
    """What goes into a bundle around ``model``, its drawn probe run by ONNX Runtime."""
    content = model.SerializeToString()
    size = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    picture = np.random.default_rng(1).random((2, 1, size, size), dtype=np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return BundleParts(
        model=content,
        opset=OPSET,
        weights="float32",
        probe=Probe(picture=picture, expected=Outputs(*session.run(OUTPUT_NAMES, {"picture": picture}))),
        calibration=calibration or Calibration(accept_threshold=0.9, fitted_on=("select",)),
        text=CardText(
            name="tiny",
            version="1.2.3",
            heads_trained=HeadsTrained(chromosome=True),
            crop=CropConfig(size_px=size),
        ),
    )


def write_tiny(output: Path, *, calibration: Calibration | None = None, type_bias: float = 0.0) -> Card:
    """The card of a tiny bundle written to ``output``."""
    return write_folder(output, parts=tiny_parts(tiny_model(type_bias=type_bias), calibration=calibration))


def _assemble(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["edges"], strides=[4, 4]),
        helper.make_node("Relu", ["edges"], ["features"]),
        helper.make_node("ReduceMean", ["features", "places"], ["embedding"], keepdims=0),
        helper.make_node("Gemm", ["embedding", "type", "type_bias"], ["type_logits"], transB=1),
        helper.make_node("Gemm", ["embedding", "count"], ["count_logits"], transB=1),
        helper.make_node("Gemm", ["embedding", "chromosome"], ["chromosome_logit"], transB=1),
        helper.make_node("Conv", ["features", "type_kernel"], ["type_map"]),
    ]
    shapes: dict[str, list[int | str]] = {
        "type_logits": [4],
        "count_logits": [COUNTS],
        "chromosome_logit": [1],
        "embedding": [DIM],
        "type_map": [4, "map_height", "map_width"],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 1, SIZE_PX, SIZE_PX])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()]
        + [numpy_helper.from_array(np.array([2, 3]), "places")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model
