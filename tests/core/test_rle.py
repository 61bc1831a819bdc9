"""Run lengths: a round trip, other people's reader, and a slow oracle."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from supcam.core.rle import Rle, decode_rle, encode_rle
from supcam.core.types import Box, Mask


def patchy(shape: tuple[int, int], *, seed: int) -> Mask:
    """Noise in blobs and single pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((shape[0] // 7 + 1, shape[1] // 7 + 1)) < 0.4
    fine = rng.random(shape) < 0.02
    return np.asarray(np.kron(coarse, np.ones((7, 7), bool))[: shape[0], : shape[1]] ^ fine)


def as_bytes(rle: Rle) -> dict[str, object]:
    return {"size": rle["size"], "counts": rle["counts"].encode()}


AWKWARD = {
    "empty": np.zeros((4, 5), bool),
    "full": np.ones((4, 5), bool),
    "one pixel": np.ones((1, 1), bool),
    "first pixel": np.arange(20).reshape(4, 5) == 0,
    "last pixel": np.arange(20).reshape(4, 5) == 19,
    "whole columns": np.tile([True, True, False, True], (6, 1)),
    "stripes": np.arange(63).reshape(7, 9) % 2 == 0,
    "long runs": np.pad(np.ones((3, 3), bool), ((700, 900), (400, 10))),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_run_lengths_are_those_of_pycocotools(name: str) -> None:
    mask = AWKWARD[name]
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert as_bytes(encode_rle(mask)) == theirs


@pytest.mark.parametrize("seed", range(5))
def test_pycocotools_and_we_read_what_we_write(seed: int) -> None:
    mask = patchy((53, 80 + seed), seed=seed)
    rle: Rle = json.loads(json.dumps(encode_rle(mask)))
    np.testing.assert_array_equal(coco.decode(as_bytes(rle)).astype(bool), mask)
    np.testing.assert_array_equal(decode_rle(rle), mask)
    assert coco.area(as_bytes(rle)) == mask.sum()


def test_we_read_what_pycocotools_writes() -> None:
    mask = patchy((61, 47), seed=9)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = theirs["counts"].decode()
    np.testing.assert_array_equal(decode_rle({"size": [61, 47], "counts": counts}), mask)


@pytest.mark.parametrize(
    "box", [Box(0, 0, 30, 40), Box(5, 7, 21, 40), Box(0, 3, 30, 3), Box(0, 3, 30, 9), Box(29, 39, 30, 40)]
)
def test_part_of_a_picture_is_encoded_like_the_whole(box: Box) -> None:
    whole = np.zeros((30, 40), bool)
    whole[box.slices] = patchy((30, 40), seed=3)[box.slices] | (box.height == 30)
    part = whole[box.slices]
    assert encode_rle(part, box=box, shape=(30, 40)) == encode_rle(whole)


def test_runs_go_down_the_columns() -> None:
    """By hand: two empty pixels, three of the mask, one empty; 48 is the character of 0."""
    mask = np.array([[False, True], [False, True], [True, False]])
    assert encode_rle(mask) == {"size": [3, 2], "counts": "231"}
