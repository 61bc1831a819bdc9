"""Whether an ONNX file reaches for other files: read from its bytes alone, without the onnx package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from supcam.core.types import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEEPEST = 64

# Which numbered fields of which message hold which message, as far as a tensor can lie inside (onnx.proto3).
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    value: int
    body: memoryview


def refuse_external_data(model: bytes, *, where: str) -> None:
    """Nothing, when every tensor of the ONNX ``model`` lies in it.

    Raises ``BundleError`` when a tensor points to another file, or the bytes are no ONNX model: a bundle
    that came from a stranger may not make the runtime open files of its choice.
    """
    try:
        outside = _reaches_outside(memoryview(model), kind="model", depth=0)
    except (ValueError, IndexError) as error:
        raise BundleError(
            "bytes that are no ONNX model",
            expected="an ONNX model",
            remedy="fetch the bundle again",
            where=where,
        ) from error
    if outside:
        raise BundleError(
            "a tensor stored in another file",
            expected="all weights inside model.onnx",
            remedy="export the model again without external data",
            where=where,
        )


def _reaches_outside(message: memoryview, *, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("messages nested too deeply")
    if kind == "tensor":
        return any(
            field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value != 0)
            for field in _fields(message)
        )
    inside = _INSIDE[kind]
    return any(
        _reaches_outside(field.body, kind=inside[field.number], depth=depth + 1)
        for field in _fields(message)
        if field.number in inside
    )


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of one protocol-buffer message, in their order. Raises ``ValueError`` or ``IndexError``."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at=at)
        if key >= 1 << 32:
            raise ValueError("a field number that no parser takes")
        number, wire = key >> 3, key & 7
        value, length = 0, 0
        if wire == _VARINT:
            value, at = _varint(message, at=at)
        elif wire == _BYTES:
            length, at = _varint(message, at=at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(message):
            raise ValueError("a field longer than its message")
        yield _Field(number=number, value=value, body=message[at : at + length])
        at += length


def _varint(message: memoryview, *, at: int) -> tuple[int, int]:
    """The number that begins at byte ``at``, and where it ends."""
    value, shift = 0, 0
    while shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number longer than ten bytes")
