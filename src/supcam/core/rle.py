"""Masks as COCO's run lengths: small text that other programs read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from jaxtyping import Int64

from supcam.core.types import Box, Mask

Runs = Int64[np.ndarray, " runs"]

_CHUNK_BITS, _MOST_BITS = 5, 60
_SIGN_BIT, _MORE_BIT, _FIRST_CHARACTER = 0x10, 0x20, 48


class Rle(TypedDict):
    """A mask in COCO's compressed run lengths: ``size`` is [height, width], ``counts`` printable ASCII."""

    size: list[int]
    counts: str


def encode_rle(mask: Mask, *, box: Box | None = None, shape: tuple[int, int] | None = None) -> Rle:
    """``mask`` as COCO's compressed RLE, ready for JSON; pycocotools decodes it.

    With ``box`` and ``shape``, both or neither, ``mask`` is the part within ``box`` of an otherwise empty
    picture of (height, width) ``shape``: objects need not be laid out on whole pictures. Runs go down the
    columns, the first one empty pixels; source: the ``maskApi`` of the COCO API (Lin, Dollar 2014).
    """
    assert (box is None) == (shape is None)
    place = box or Box(top=0, left=0, bottom=mask.shape[0], right=mask.shape[1])
    height, width = shape or mask.shape
    assert mask.shape == (place.height, place.width)
    assert 0 <= place.top <= place.bottom <= height
    assert 0 <= place.left <= place.right <= width
    borders = _borders(mask, place=place, height=height)
    end = height * width
    borders = borders[borders < end]
    runs = np.diff(borders, prepend=0, append=end)
    return {"size": [height, width], "counts": _text(runs)}


def decode_rle(rle: Rle) -> Mask:
    """The mask that ``encode_rle`` wrote, on the whole picture."""
    height, width = rle["size"]
    runs = np.fromiter(runs_of(rle["counts"]), np.int64)
    assert runs.sum() == height * width
    values = np.arange(runs.size) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T.copy()


def _borders(mask: Mask, *, place: Box, height: int) -> Runs:
    """Where pixels change, counted down the columns of the whole picture: in, out, in, out ...

    A run that goes on from the foot of one column at the head of the next one is one run.
    """
    changed = np.diff(np.pad(mask.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    columns, rows = np.nonzero(changed)
    borders = (columns + place.left) * height + rows + place.top
    meets_next = np.flatnonzero(borders[1:-1:2] == borders[2::2]) * 2 + 1
    return np.delete(borders, np.concatenate([meets_next, meets_next + 1])).astype(np.int64)


def _text(runs: Runs) -> str:
    """Each run as the difference from the last but one of its kind, five bits a character, lowest first."""
    differences = runs.copy()
    differences[3:] -= runs[1:-2]
    return "".join(_characters(int(value)) for value in differences)


def _characters(value: int) -> str:
    text = ""
    while True:
        chunk = value & (2**_CHUNK_BITS - 1)
        value >>= _CHUNK_BITS
        goes_on = value != (-1 if chunk & _SIGN_BIT else 0)
        text += chr((chunk | _MORE_BIT if goes_on else chunk) + _FIRST_CHARACTER)
        if not goes_on:
            return text


def runs_of(text: str) -> Iterator[int]:
    """The run lengths behind ``text``, unchecked. Raises ``ValueError`` for what no mask is written as."""
    last, value, shift, n_runs = [0, 0], 0, 0, 0
    for character in text:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 2 * _MORE_BIT or shift > _MOST_BITS:
            raise ValueError(f"the sign {character!r} in run lengths")
        value |= (code & (2**_CHUNK_BITS - 1)) << shift
        shift += _CHUNK_BITS
        if code & _MORE_BIT:
            continue
        if code & _SIGN_BIT:
            value -= 1 << shift
        run = value + (last[0] if n_runs > 2 else 0)
        yield run
        last, value, shift, n_runs = [last[1], run], 0, 0, n_runs + 1
