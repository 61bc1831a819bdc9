"""LIF files as Leica's microscopes write them, small: a heading in XML, then one block of memory an image."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

_UM_IN_M = 1e6


def lif(images: Mapping[str, np.ndarray], *, width_um: float = 0.1, height_um: float = 0.2) -> bytes:
    """A file with images of 16 bits, each ``(slices, channels, rows, columns)``."""
    blocks = [
        _block(f"MemBlock_{number}", content=samples.astype("<u2").tobytes())
        for number, samples in enumerate(images.values())
    ]
    elements = [
        _element(name, samples=samples, number=number, size_um=(width_um, height_um))
        for number, (name, samples) in enumerate(images.items())
    ]
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="P" UniqueID="p"><Data><Experiment/></Data>'
        f'<Memory Size="0" MemoryBlockID="MemBlock_x"/><Children>{"".join(elements)}</Children></Element>'
        "</LMSDataContainerHeader>"
    )
    heading = struct.pack("<IIBI", 0x70, 2 * len(text) + 5, 0x2A, len(text)) + text.encode("utf-16-le")
    return heading + b"".join(blocks)


def _block(name: str, *, content: bytes) -> bytes:
    size = 2 * len(name) + 14
    return (
        struct.pack("<IIBQBI", 0x70, size, 0x2A, len(content), 0x2A, len(name))
        + name.encode("utf-16-le")
        + content
    )


def _element(name: str, *, samples: np.ndarray, number: int, size_um: tuple[float, float]) -> str:
    slices, channels, height, width = samples.shape
    plane = height * width * 2
    described = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
        f'Max="65535" Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="{channel * plane}" BitInc="0"/>'
        for channel in range(channels)
    )
    sides = ((1, width, 2, size_um[0]), (2, height, width * 2, size_um[1]), (3, slices, channels * plane, 1))
    axes = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" '
        f'Length="{(n - 1) * um / _UM_IN_M!r}" Unit="m" BitInc="0" BytesInc="{step}"/>'
        for axis, n, step, um in sides
    )
    return (
        f'<Element Name="{name}" UniqueID="{number}"><Data><Image><ImageDescription>'
        f"<Channels>{described}</Channels><Dimensions>{axes}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{samples.size * 2}" MemoryBlockID="MemBlock_{number}"/></Element>'
    )
