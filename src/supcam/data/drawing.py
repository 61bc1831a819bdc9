"""One drawn chromosome: a bent centre line, bands across it, two chromatids, blurred stain, exact mask.

A model of how G-banded chromosomes look. Here their lengths, arms and bands are random and of no type;
``supcam.data.typed_sketch`` sketches the 24 human types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from supcam.core.types import Mask, Stain

Line = Float64[np.ndarray, "points 2"]
"""Points as (row, column) in pixels."""
Profile = Float64[np.ndarray, " steps"]

_POINT_PX = 3.0
STEP_PX = 0.5
"""A sketch says how wide and how dark it is at steps of this length along its line."""
_MARGIN_PX = 6


@dataclass(frozen=True, slots=True)
class Preparation:
    """What all chromosomes of one picture share: slide, stain and microscope.

    ``stain_level`` is the stain of a dark band; ``band_contrast`` how much lighter a light band is (share of
    it); ``chromatid_split`` how clearly the gap between the chromatids shows (0..1); ``blur_px`` a standard
    deviation; ``bend_rad`` the usual turn of a long chromosome from end to end;
    ``roughness`` how ragged outline and bands are, as a share of the width; ``grain`` how uneven the stain is
    within a band, as a share of it.
    """

    width_px: float
    stain_level: float
    band_contrast: float
    chromatid_split: float
    blur_px: float
    bend_rad: float
    roughness: float
    grain: float = 0.10


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """A chromosome before it is drawn: it can still be turned, and is laid down by its ``line``.

    ``half_width_px`` and the rows of ``bands`` (0 light .. 1 dark, one row for each chromatid) are given
    every half pixel along the line. ``bow`` is how far bands curve at the edges, in widths.
    """

    line: Line
    half_width_px: Profile
    bands: Float64[np.ndarray, "2 steps"]
    preparation: Preparation
    bow: float = 0.10

    @property
    def length_px(self) -> float:
        """Length along the centre line."""
        return (self.half_width_px.size - 1) * STEP_PX


@dataclass(frozen=True, slots=True, eq=False)
class DrawnChromosome:
    """A chromosome on an empty canvas that just holds it.

    ``stain`` is 0 on background; ``mask`` is the body before the blur; ``line`` the centre line, as (row,
    column) in pixels of the canvas; ``width_px`` the median of its widths.
    """

    stain: Stain
    mask: Mask
    line: Line
    width_px: float
    length_px: float


def tangents_of(line: Line) -> Line:
    """Unit vectors along a line, at each of its points."""
    along = np.gradient(line, axis=0)
    return np.asarray(along / np.hypot(along[:, 0], along[:, 1])[:, None])


def sketch_chromosome(rng: np.random.Generator, *, preparation: Preparation, length_px: float) -> Sketch:
    """A chromosome of ``length_px`` in any direction, with random bends, bands and centromere."""
    steps = max(8, round(length_px / STEP_PX)) + 1
    centromere_px = float(rng.uniform(0.16, 0.5)) * length_px
    along = np.arange(steps) * STEP_PX
    half_width_px = half_width(along, centromere_px=centromere_px, preparation=preparation, rng=rng)
    return Sketch(
        line=bent_line(along, centromere_px=centromere_px, preparation=preparation, rng=rng),
        half_width_px=half_width_px,
        bands=_bands(along, width_px=preparation.width_px, rng=rng),
        preparation=preparation,
    )


def half_width(
    along: Profile,
    *,
    centromere_px: float,
    preparation: Preparation,
    rng: np.random.Generator,
    waist: float = 1.0,
) -> Profile:
    """Half the width at each step: blunt round ends, a waist at the centromere, a little unevenness.

    The waist takes off 0.12 to 0.38 of the width, times ``waist``.
    """
    half = 0.5 * preparation.width_px
    drawn_in = waist * rng.uniform(0.12, 0.38) * np.exp(-0.5 * ((along - centromere_px) / (0.5 * half)) ** 2)
    uneven = 1 + 0.05 * np.sin(along / (half * rng.uniform(0.5, 0.9)) + rng.uniform(0, 2 * np.pi))
    from_end = np.minimum(along, along[-1] - along) / (0.8 * half)
    ends = (1 - np.clip(1 - from_end, 0, 1) ** 2.2) ** 0.45
    return np.asarray(half * (1 - drawn_in) * uneven * ends)


def bent_line(
    along: Profile, *, centromere_px: float, preparation: Preparation, rng: np.random.Generator
) -> Line:
    """A smooth line of the given length, with a first direction of its own, that keeps clear of itself."""
    length, width = float(along[-1]), preparation.width_px
    points = np.linspace(0, length, max(4, round(length / _POINT_PX)) + 1)
    turn = _turns(points, centromere_px=centromere_px, width_px=width, rng=rng) * preparation.bend_rad
    turn *= min(1.0, length / (6 * width))
    sharpest = float(np.abs(np.gradient(turn, points)).max()) * 0.5 * width
    turn *= min(1.0, 0.75 / max(sharpest, 1e-9))
    first = rng.uniform(0, 2 * np.pi)
    line = _walk(first + turn, step_px=float(points[1]))
    while _meets_itself(line, step_px=float(points[1]), width_px=width):
        turn = 0.7 * turn
        line = _walk(first + turn, step_px=float(points[1]))
    return line


def turned(sketch: Sketch, *, angle_rad: float) -> Sketch:
    """``sketch`` turned around the first point of its line."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    rows, columns = (sketch.line - sketch.line[0]).T
    line = np.stack([cos * rows - sin * columns, sin * rows + cos * columns], axis=1)
    return replace(sketch, line=line + sketch.line[0])


def ink(sketch: Sketch, *, rng: np.random.Generator) -> DrawnChromosome:
    """``sketch`` drawn, at a random part of a pixel; its line then starts where the drawing has it."""
    line, shape = _on_canvas(sketch, rng=rng)
    near = _pixels_near(line, shape=shape, reach_px=_reach(sketch) - _MARGIN_PX + 2)
    place = _wobbled(_body_coordinates(near, line=line), near, sketch=sketch, shape=shape, rng=rng)
    half = np.interp(place.along, _along(sketch), sketch.half_width_px, left=0.0, right=0.0)
    stain, mask = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    rows, columns = near.T
    mask[rows, columns] = np.abs(place.across) < half
    look = sketch.preparation
    grain = 1 + look.grain * mottle(rng, shape=shape, size_px=0.2 * look.width_px)[rows, columns]
    stain[rows, columns] = grain * _stain_at(place, half, sketch=sketch)
    return DrawnChromosome(
        stain=cv2.GaussianBlur(stain, (0, 0), look.blur_px),
        mask=mask,
        line=line,
        width_px=2 * float(np.median(sketch.half_width_px)),
        length_px=sketch.length_px,
    )


def mottle(
    rng: np.random.Generator, *, shape: tuple[int, int], size_px: float
) -> Float32[np.ndarray, "height width"]:
    """Smooth noise with mean 0 and a standard deviation of about 1, in blobs of about ``size_px``."""
    step = max(1.0, 0.5 * size_px)
    coarse_shape = [int(np.ceil(side / step)) + 1 for side in shape]
    noise = rng.standard_normal(coarse_shape, dtype=np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 1.0) * np.float32(2 * np.sqrt(np.pi))
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where pixels are in the body: pixels along the line and across it (left negative).

    ``band`` is where along the line the shade of the pixel is read.
    """

    along: Profile
    across: Profile
    band: Profile


def _on_canvas(sketch: Sketch, *, rng: np.random.Generator) -> tuple[Line, tuple[int, int]]:
    """The line shifted onto a canvas that holds the body and its blur, and the shape of that canvas."""
    line = sketch.line - np.floor(sketch.line.min(axis=0)) + _reach(sketch) + rng.random(2)
    height, width = (np.ceil(line.max(axis=0)) + _reach(sketch) + 1).astype(int)
    return line, (int(height), int(width))


def _along(sketch: Sketch) -> Profile:
    return np.arange(sketch.half_width_px.size) * STEP_PX


def _reach(sketch: Sketch) -> int:
    """Pixels around the line that a drawing needs: half a body and its blur."""
    return int(np.ceil(float(sketch.half_width_px.max()))) + _MARGIN_PX


def _turns(points: Profile, *, centromere_px: float, width_px: float, rng: np.random.Generator) -> Profile:
    """Directions along the line for a bend of about one radian: an arc, a wave, now and then a kink."""
    share = points / points[-1]
    arc = rng.normal(0, 0.9) * (share - 0.5)
    wave = rng.normal(0, 0.25) * np.sin(2 * np.pi * (share * rng.uniform(0.6, 1.4) + rng.random()))
    at = centromere_px if rng.random() < 0.6 else rng.uniform(0.2, 0.8) * points[-1]
    kink = rng.normal(0, 0.5) * np.tanh((points - at) / (0.6 * width_px)) * (rng.random() < 0.45)
    return np.asarray(arc + wave + kink)


def _walk(directions: Profile, *, step_px: float) -> Line:
    steps = step_px * np.stack([np.sin(directions[1:]), np.cos(directions[1:])], axis=1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _meets_itself(line: Line, *, step_px: float, width_px: float) -> bool:
    """Whether points that are far apart along the line come nearer than a width and a half."""
    apart = max(2, round(2.5 * width_px / step_px))
    rows, columns = line.T
    square = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    return bool((np.triu(square < (1.5 * width_px) ** 2, k=apart)).any())


def _bands(along: Profile, *, width_px: float, rng: np.random.Generator) -> Float64[np.ndarray, "2 steps"]:
    """Light and dark bands in turn, light at most ends; the two chromatids differ by a pixel or so."""
    n = int(along[-1] / (0.16 * width_px)) + 4
    thickness = width_px * np.clip(rng.lognormal(np.log(0.32), 0.50, n), 0.16, 1.0)
    edges = np.cumsum(thickness)
    shade = np.where(np.arange(n) % 2, rng.choice([0.4, 0.7, 1.0, 1.0], n), rng.uniform(0, 0.25, n))
    start = 0.0 if rng.random() < 0.8 else thickness[0]
    soft = 0.12 * width_px
    rows = []
    for _ in range(2):
        own = along + start + 0.04 * width_px * rng.standard_normal()
        steps = np.diff(shade) * (1 + 0.08 * rng.standard_normal(n - 1))
        rise = 0.5 * (1 + np.tanh((own[:, None] - edges[:-1]) / soft))
        rows.append(np.clip(shade[0] + (rise * steps).sum(axis=1), 0, 1.1))
    return np.stack(rows)


def _pixels_near(line: Line, *, shape: tuple[int, int], reach_px: int) -> np.ndarray:
    """(row, column) of the pixels within about ``reach_px`` of the line; always a few more than asked for."""
    canvas = np.zeros(shape, np.uint8)
    corners = np.rint(line[:, ::-1]).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [corners], isClosed=False, color=1, thickness=2 * reach_px + 1)
    return np.argwhere(canvas)


def _body_coordinates(near: np.ndarray, *, line: Line) -> tuple[Profile, Profile]:
    """Pixels along the line and across it (left negative), for each pixel, seen from the nearest point."""
    rows, columns = near.T.astype(np.float32)
    down = rows[:, None] - line[:, 0].astype(np.float32)
    right = columns[:, None] - line[:, 1].astype(np.float32)
    nearest = np.argmin(down * down + right * right, axis=1)
    away = near - line[nearest]
    ahead = tangents_of(line)[nearest]
    spacing = float(np.hypot(*(line[1] - line[0])))
    along = nearest * spacing + away[:, 0] * ahead[:, 0] + away[:, 1] * ahead[:, 1]
    return along, away[:, 0] * ahead[:, 1] - away[:, 1] * ahead[:, 0]


def _wobbled(
    coordinates: tuple[Profile, Profile],
    near: np.ndarray,
    *,
    sketch: Sketch,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> _Place:
    """Outline and bands made a little ragged: pixels are looked up somewhat beside where they are."""
    along, across = coordinates
    look = sketch.preparation
    aside, ahead = (
        look.roughness * look.width_px * mottle(rng, shape=shape, size_px=0.4 * look.width_px)[*near.T]
        for _ in range(2)
    )
    return _Place(along=along, across=across + np.clip(aside, -2, 2), band=along + 1.5 * ahead)


def _stain_at(place: _Place, half: Profile, *, sketch: Sketch) -> Float32[np.ndarray, " steps"]:
    """The stain of each pixel before blur and grain: its band, its chromatid, and 0 beyond the edge."""
    look = sketch.preparation
    across = place.across / np.maximum(half, 0.5)
    curved = place.band + sketch.bow * look.width_px * np.minimum(across**2, 1)
    left, right = (np.interp(curved, _along(sketch), row) for row in sketch.bands)
    dark = np.where(across < 0, left, right)
    shade = 1 - look.band_contrast * (1 - dark)
    gap = look.chromatid_split * (1 - 0.6 * np.minimum(dark, 1)) * np.exp(-((across / 0.35) ** 2))
    thickness = np.maximum(1 - across**2, 0) ** 0.25
    covered = np.clip(half - np.abs(place.across) + 0.5, 0, 1)
    before_end = np.clip(np.minimum(place.along, sketch.length_px - place.along) + 0.5, 0, 1)
    stain = look.stain_level * shade * (1 - gap) * thickness * covered * before_end
    return np.asarray(stain, np.float32)
