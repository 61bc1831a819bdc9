"""Masks as other programs write them: run lengths by columns or rows, polygons, the brush of Label Studio.

All are read into the smallest box and the mask within it, so that an object never costs a whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from supcam.core.types import Box, Mask
from supcam.data.exchange.marked import MarkError, whole_box

Runs = Int64[np.ndarray, " runs"]
Bits = UInt8[np.ndarray, " bits"]

_MOST_CORNERS = 200_000
_MOST_RUNS = 5_000_000
_WORD_BITS = 8
_RUN_BITS = (3, 4, 8, 16)
"""Lengths that Label Studio's own brush uses."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """A box of a picture and the mask within it, which reaches all four of its sides."""

    box: Box
    mask: Mask


def cropped(mask: Mask, *, top: int, left: int) -> Outlined:
    """``mask``, whose corner lies there in the picture, without empty rims. Raises ``MarkError`` if empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise MarkError("a mask without a single pixel")
    within = Box(int(rows[0]), left=int(columns[0]), bottom=int(rows[-1]) + 1, right=int(columns[-1]) + 1)
    return Outlined(within.moved(top, left), mask=mask[within.slices].copy())


# Run lengths ------------------------------------------------------------------------------------------------


def from_runs(runs: Sequence[object], *, height: int, width: int) -> Outlined:
    """The mask of runs along the rows, empty and full in turn, the first one empty. Raises ``MarkError``."""
    lengths = _checked(runs, n_pixels=height * width)
    ends = np.cumsum(lengths)
    starts, stops = (ends - lengths)[1::2], ends[1::2]
    full = stops > starts
    starts, stops = starts[full], stops[full]
    if not starts.size:
        raise MarkError("a mask without a single pixel")
    first, last = int(starts[0]) // width, (int(stops[-1]) - 1) // width
    flat = np.zeros((last - first + 1) * width, np.bool_)
    for start, stop in zip(starts - first * width, stops - first * width, strict=True):
        flat[start:stop] = True
    return cropped(flat.reshape(-1, width), top=first, left=0)


def from_columns(runs: Sequence[object], *, height: int, width: int) -> Outlined:
    """The same for runs down the columns, as COCO has them."""
    turned = from_runs(runs, height=width, width=height)
    box = turned.box
    upright = Box(box.left, left=box.top, bottom=box.right, right=box.bottom)
    return Outlined(upright, mask=np.ascontiguousarray(turned.mask.T))


def _checked(runs: Sequence[object], *, n_pixels: int) -> Runs:
    lengths = [run for run in runs if isinstance(run, int) and 0 <= run <= n_pixels]
    if len(lengths) < len(runs) or len(runs) > _MOST_RUNS:
        raise MarkError("run lengths that are no lengths")
    if sum(lengths) != n_pixels:
        raise MarkError(f"run lengths of {sum(lengths)} pixels where {n_pixels} were expected")
    return np.array(lengths, np.int64)


def to_runs(mask: Mask) -> list[int]:
    """``mask`` as runs along its rows, empty and full in turn, the first one empty."""
    flat = mask.ravel()
    borders = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    return [int(run) for run in np.diff(borders, prepend=0, append=flat.size)]


# Polygons ---------------------------------------------------------------------------------------------------


def from_polygons(rings: Iterable[Sequence[float]], *, height: int, width: int) -> Outlined:
    """The pixels whose centres lie within polygons ``x, y, x, y ...``, each ring by the rule of even and odd.

    Coordinates are positions between pixels: 0 is the left edge of the first column. Rings are joined, as
    COCO has it. Raises ``MarkError``.
    """
    corners = [_corners(ring) for ring in rings]
    if not corners or sum(map(len, corners)) > _MOST_CORNERS:
        raise MarkError("a polygon without corners, or with far too many")
    points = np.concatenate(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    box = whole_box((low[0], low[1], high[0], high[1]), height=height, width=width)
    mask = np.zeros((box.height, box.width), np.bool_)
    for ring in corners:
        _fill(mask, ring=ring - np.array([box.left, box.top]))
    return cropped(mask, top=box.top, left=box.left)


def _corners(ring: Sequence[float]) -> np.ndarray:
    if len(ring) < 6 or len(ring) % 2 or not all(math.isfinite(value) for value in ring):
        raise MarkError("a polygon of fewer than three corners, or with corners that are no numbers")
    return np.array(ring, np.float64).reshape(-1, 2)


def _fill(mask: Mask, *, ring: np.ndarray) -> None:
    """Sets what lies within ``ring``: along each row of centres its edges are crossed in pairs."""
    after = np.roll(ring, -1, axis=0)
    low, high = np.minimum(ring[:, 1], after[:, 1]), np.maximum(ring[:, 1], after[:, 1])
    for row in range(mask.shape[0]):
        y = row + 0.5
        crossed = (low <= y) & (y < high)
        a, b = ring[crossed], after[crossed]
        x = np.sort(a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1]))
        columns = np.clip(np.ceil(x - 0.5), 0, mask.shape[1]).astype(np.int64)
        for start, stop in zip(columns[::2], columns[1::2], strict=True):
            mask[row, start:stop] = True


def ellipse(centre: tuple[float, float], *, radii: tuple[float, float], size: tuple[int, int]) -> Outlined:
    """The pixels whose centres lie in an upright ellipse; ``size`` is the picture's (height, width)."""
    if min(radii) <= 0:
        raise MarkError("an ellipse without extent")
    angles = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    ring = np.stack([centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)], axis=1)
    return from_polygons([ring.ravel().tolist()], height=size[0], width=size[1])


# The brush of Label Studio ----------------------------------------------------------------------------------


def to_brush(mask: Mask, *, box: Box, size: tuple[int, int]) -> list[int]:
    """The mask within ``box`` of a picture of (height, width) ``size`` as Label Studio's brush keeps it.

    Its layout: the number of values (32 bits), bits a value less one (5), four bit lengths less one (4 each),
    then blocks: a flag for a repeated value, which of the four lengths (2), the number of values less one,
    and the value or values. Values are red, green, blue and opacity of every pixel; painted ones have all at
    255.
    """
    height, width = size
    bits = [_number(4 * height * width, n_bits=32), _number(_WORD_BITS - 1, n_bits=5)]
    bits += [_number(length - 1, n_bits=4) for length in _RUN_BITS]
    for n, is_full in _runs_on_picture(mask, box=box, size=size):
        bits.append(_repeated(4 * n, value=255 if is_full else 0))
    packed = np.packbits(np.concatenate(bits))
    return [int(byte) for byte in packed]


def _runs_on_picture(mask: Mask, *, box: Box, size: tuple[int, int]) -> list[tuple[int, bool]]:
    """Runs of pixels along the rows of the whole picture; only the rows of ``box`` are laid out."""
    height, width = size
    rows = np.zeros((box.height, width), np.bool_)
    rows[:, box.left : box.right] = mask
    runs = to_runs(rows)
    runs[0] += box.top * width
    found = [(run, index % 2 == 1) for index, run in enumerate(runs) if run]
    below = (height - box.bottom) * width
    return [*found, (below, False)] if below else found


def _number(value: int, *, n_bits: int) -> Bits:
    return np.array([value >> place & 1 for place in range(n_bits - 1, -1, -1)], np.uint8)


def _repeated(n: int, *, value: int) -> Bits:
    """Blocks that say ``value`` ``n`` times."""
    longest = 2 ** _RUN_BITS[-1]
    parts = []
    while n:
        now = min(n, longest)
        which = next(index for index, bits in enumerate(_RUN_BITS) if now <= 2**bits)
        parts += [
            _number(1, n_bits=1),
            _number(which, n_bits=2),
            _number(now - 1, n_bits=_RUN_BITS[which]),
            _number(value, n_bits=_WORD_BITS),
        ]
        n -= now
    return np.concatenate(parts)


def from_brush(values: Sequence[object], *, height: int, width: int) -> Outlined:
    """The mask that Label Studio's brush painted: the pixels of any opacity. Raises ``MarkError``."""
    content = [value for value in values if isinstance(value, int) and 0 <= value <= 255]
    if len(content) < len(values):
        raise MarkError("a brush that is no list of bytes")
    reader = _BitReader(np.unpackbits(np.array(content, np.uint8)))
    n_values = reader.take(32)
    if n_values != 4 * height * width:
        raise MarkError(f"a brush on {n_values // 4} pixels where {height * width} were expected")
    word = reader.take(5) + 1
    lengths = [reader.take(4) + 1 for _ in range(4)]
    return from_runs(
        _brush_runs(reader, n_values=n_values, word=word, lengths=lengths), height=height, width=width
    )


def _brush_runs(reader: _BitReader, *, n_values: int, word: int, lengths: Sequence[int]) -> list[int]:
    """Runs of pixels along the rows, empty and full in turn: only every fourth value, the opacity, counts."""
    runs, is_full, at = [0], False, 0

    def add(n_pixels: int, *, full: bool) -> None:
        nonlocal is_full
        if n_pixels and full != is_full:
            runs.append(0)
            is_full = full
        runs[-1] += n_pixels

    while at < n_values:
        repeated, n = reader.take(1), reader.take(lengths[reader.take(2)]) + 1
        if at + n > n_values:
            raise MarkError("a brush that paints beyond the picture")
        if repeated:
            add((at + n) // 4 - at // 4, full=bool(reader.take(word)))
        else:
            for place in range(at, at + n):
                value = reader.take(word)
                add(int(place % 4 == 3), full=bool(value))
        at += n
    return runs


class _BitReader:
    """Numbers of so many bits, one after the other. Raises ``MarkError`` at the end."""

    def __init__(self, bits: Bits) -> None:
        self._bits, self._at = bits, 0

    def take(self, n_bits: int) -> int:
        """The next number."""
        part = self._bits[self._at : self._at + n_bits]
        if part.size < n_bits:
            raise MarkError("a brush that ends early")
        self._at += n_bits
        return int.from_bytes(np.packbits(part).tobytes(), "big") >> (-n_bits % 8)
