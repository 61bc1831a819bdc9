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


BLIND = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.01182, 0.04294, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.3039),
    ),
}
"""What linear red, green and blue become for the colour-blind (Machado, Oliveira and Fernandes 2009)."""


def lightness_and_hue(colour: tuple[int, int, int], *, seen: np.ndarray) -> np.ndarray:
    """A colour in CIELAB as somebody sees it who loses what the matrix ``seen`` takes away."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    back = np.clip(seen @ linear, 0, 1)
    stored = np.where(back <= 0.0031308, 12.92 * back, 1.055 * back ** (1 / 2.4) - 0.055)
    lab: np.ndarray = cv2.cvtColor(stored.astype(np.float32)[None, None], cv2.COLOR_RGB2LAB)[0, 0]
    return lab


@pytest.mark.parametrize("kind", BLIND)
def test_the_colour_blind_tell_the_colours_apart(kind: str) -> None:
    """Ten units are plainly another colour side by side; outlines lie apart and have letters besides."""
    seen = {name: lightness_and_hue(rgb, seen=np.array(BLIND[kind])) for name, rgb in COLOURS.items()}
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 15, (one, other)


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
