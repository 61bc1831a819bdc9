"""No ONNX file gets past that makes the runtime open another file."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.tiny_bundle import tiny_model

from supcam.core.types import BundleError
from supcam.pack.onnx_scan import refuse_external_data


def outside_tensor() -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    return tensor


def in_initializer() -> onnx.ModelProto:
    model = tiny_model()
    model.graph.initializer.append(outside_tensor())
    return model


def in_constant() -> onnx.ModelProto:
    model = tiny_model()
    model.graph.node.append(helper.make_node("Constant", [], ["outside"], value=outside_tensor()))
    return model


def in_subgraph() -> onnx.ModelProto:
    model = tiny_model()
    inner = helper.make_graph([], "inner", [], [], [outside_tensor()])
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner))
    return model


def in_function() -> onnx.ModelProto:
    model = tiny_model()
    node = helper.make_node("Constant", [], ["outside"], value=outside_tensor())
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("own", "f", [], ["outside"], [node], opsets))
    return model


def in_sparse_initializer() -> onnx.ModelProto:
    model = tiny_model()
    indices = numpy_helper.from_array(np.array([0, 1, 2]), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(outside_tensor(), indices, [9]))
    return model


def by_location_alone() -> onnx.ModelProto:
    model = tiny_model()
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    return model


def test_a_model_that_holds_all_its_weights_passes() -> None:
    refuse_external_data(tiny_model().SerializeToString(), where="model.onnx")


@pytest.mark.parametrize(
    "make",
    [in_initializer, in_constant, in_subgraph, in_function, in_sparse_initializer, by_location_alone],
)
def test_a_tensor_in_another_file_is_refused_wherever_it_hides(make: object) -> None:
    assert callable(make)
    with pytest.raises(BundleError, match="another file"):
        refuse_external_data(make().SerializeToString(), where="model.onnx")


@pytest.mark.parametrize("content", [b"\xff", b"\x3a\xff\x01", b"\x0b", b"\x80" * 20, b"no model at all"])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="no ONNX model"):
        refuse_external_data(content, where="model.onnx")


def test_messages_nested_without_end_are_refused() -> None:
    body = b""
    for _ in range(200):
        for key in (0x32, 0x2A, 0x0A):  # a graph in an attribute in a node of a graph
            body = bytes([key]) + _length(body) + body
    with pytest.raises(BundleError, match="no ONNX model"):
        refuse_external_data(b"\x3a" + _length(body) + body, where="model.onnx")


@given(content=st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused_by_name(content: bytes) -> None:
    with contextlib.suppress(BundleError):
        refuse_external_data(content, where="model.onnx")


def _length(body: bytes) -> bytes:
    n, out = len(body), bytearray()
    while True:
        out.append(n & 0x7F | (0x80 if n > 0x7F else 0))
        n >>= 7
        if not n:
            return bytes(out)
