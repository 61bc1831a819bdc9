from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest

from supcam.core.types import Box, ClusterType, Decision, Prediction
from supcam.spread.objects import Reason, SpreadObject
from supcam.spread.overlay import (
    COLOURS,
    DOUBT,
    LETTERS,
    caption,
    draw_overlay,
    jpeg_bytes,
    outline,
    png_bytes,
)

SQUARE = SpreadObject(
    object_id=1,
    box=Box(40, 30, 60, 70),
    mask=np.ones((20, 40), np.bool_),
    area_px=800,
    prediction=Prediction(
        label=ClusterType.TOUCHING,
        probabilities=(0.1, 0.7, 0.1, 0.1),
        confidence=0.7,
        n_chromosomes=2,
        decision=Decision.ACCEPT,
    ),
    rejection=None,
    doubts=(),
    number_chances=np.array([0.0, 0.0, 1.0]),
)
PAPER = np.full((120, 140), 230, np.uint8)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == np.array(colour, np.uint8)).all(axis=2).any())


def test_every_type_has_a_colour_and_letters_of_its_own() -> None:
    assert set(COLOURS) == set(LETTERS) == {*(kind.label for kind in ClusterType), "rejected"}
    assert len(set(LETTERS.values())) == len(LETTERS)
    for one, other in combinations([*COLOURS.values(), DOUBT], 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) >= 30


def test_outline_goes_around_the_object() -> None:
    (points,) = outline(SQUARE)
    assert cv2.boundingRect(points) == (30, 40, 40, 20)
    (small,) = outline(SQUARE, scale=0.5)
    assert cv2.boundingRect(small)[:2] == (15, 20)


def test_type_doubt_and_rejection_are_seen() -> None:
    plain = draw_overlay(PAPER, objects=[SQUARE])
    assert has(plain, COLOURS["touching"])
    assert not has(plain, DOUBT)
    assert has(draw_overlay(PAPER, objects=[replace(SQUARE, doubts=(Reason.CUT,))]), DOUBT)
    rejected = draw_overlay(PAPER, objects=[replace(SQUARE, rejection=Reason.SPECK)])
    assert has(rejected, COLOURS["rejected"])
    assert not has(rejected, COLOURS["touching"])
    assert (PAPER == 230).all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "T2"),
        ({"doubts": (Reason.CUT,)}, "T2?"),
        ({"rejection": Reason.SPECK}, "x"),
    ],
)
def test_captions_say_what_colours_say(changes: dict[str, object], text: str) -> None:
    assert caption(replace(SQUARE, **changes)) == text  # type: ignore[arg-type]


def test_pictures_survive_their_files() -> None:
    picture = draw_overlay(PAPER, objects=[SQUARE])
    back = cv2.imdecode(np.frombuffer(png_bytes(picture), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    np.testing.assert_array_equal(back[..., ::-1], picture)
    grey = cv2.imdecode(np.frombuffer(jpeg_bytes(PAPER), np.uint8), cv2.IMREAD_UNCHANGED)
    assert grey is not None
    assert grey.shape == PAPER.shape
