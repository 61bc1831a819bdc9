"""Whether a picture's objects are darker or brighter than its background, told from its grey values."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from supcam.core.decoding import Samples
from supcam.core.types import ImageError, Polarity

Pixels = Float32[np.ndarray, "height width"]
Counts = Float32[np.ndarray, " levels"]

EXTREME_SHARE = 0.002
"""Of floats and in fluorescence, this share of the pixels may be glints or hot pixels."""
_SMOOTHING = 5
"""Grey levels over which a histogram is smoothed before its mode is read: a spike is no background."""
_CLEARLY = 3.0
"""How many times the votes of the other side one side must have, for the polarity to be clear."""
_NOISE_SHARE = 0.04
"""Deviations from the background below this share of the picture's range say nothing about the polarity."""
_LONG_SIDE = 256
"""The surroundings of a pixel are looked for in a picture reduced to at most this many pixels a side."""
_SURROUNDINGS = 1 / 3
"""Side of the surroundings, as a share of the longer side: far wider than a nucleus."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Pixels at each of 256 grey levels; ``mode`` is the most frequent, ``background`` its grey value."""

    counts: Counts
    mode: int
    background: float


def find_polarity(pixels: Pixels, *, white: float) -> Polarity:
    """Bright field when the objects are darker than the background, fluorescence when they are brighter.

    The background is the mode of the grey values. Where an uneven background lies on both sides of it, so
    that neither side has three times the other's votes, every pixel is held against its own surroundings.
    Raises ``ImageError`` for a blank picture, and when that leaves it open too.
    """
    return polarity_of(read_histogram(pixels, white=white), pixels=pixels)


def polarity_of(histogram: Histogram, *, pixels: Pixels | None = None) -> Polarity:
    """The same of a picture whose histogram is at hand, and its ``pixels`` unless it is too large for that.

    Raises as ``find_polarity`` does.
    """
    occupied = np.flatnonzero(histogram.counts)
    span = int(occupied[-1] - occupied[0])
    if span < 2:
        raise blank()
    found = _by_level(histogram, span=span)
    if found is None and pixels is not None:
        found = _by_surroundings(pixels)
    return found or _ask()


def _by_level(histogram: Histogram, *, span: int) -> Polarity | None:
    """By the levels on either side of the mode: each pixel votes with the square of its distance."""
    mode = histogram.mode
    distance = np.arange(-mode, histogram.counts.size - mode, dtype=np.float64)
    distance[np.abs(distance) < _NOISE_SHARE * span] = 0
    votes = histogram.counts * distance**2
    return _clear(float(votes[:mode].sum()), bright=float(votes[mode:].sum()))


def _by_surroundings(pixels: Pixels) -> Polarity | None:
    """By what is darker or brighter than the median of its surroundings, in a reduced picture."""
    shrink = min(1.0, _LONG_SIDE / max(pixels.shape))
    size = (max(1, round(shrink * pixels.shape[1])), max(1, round(shrink * pixels.shape[0])))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    lowest, span = float(small.min()), float(np.ptp(small))
    if span <= 0:
        return None
    grey = np.asarray(np.rint((small - lowest) * (255 / span)), np.uint8)
    window = 2 * int(_SURROUNDINGS * max(grey.shape) / 2) + 1
    above: Float64[np.ndarray, "rows columns"] = grey.astype(np.float64) - cv2.medianBlur(grey, window)
    above[np.abs(above) < _NOISE_SHARE * 255] = 0
    return _clear(float((above[above < 0] ** 2).sum()), bright=float((above[above > 0] ** 2).sum()))


def _clear(dark: float, *, bright: float) -> Polarity | None:
    """The side that clearly has more votes, if one has."""
    if dark > _CLEARLY * bright:
        return Polarity.BRIGHT_FIELD
    return Polarity.FLUORESCENCE if bright > _CLEARLY * dark else None


def _ask() -> Polarity:
    raise ImageError(
        "a background that is neither clearly brighter nor clearly darker than the objects",
        expected="dark objects on a bright background, or bright ones on a dark one",
        remedy=f"set polarity to {Polarity.BRIGHT_FIELD.value} or {Polarity.FLUORESCENCE.value}",
    )


def blank() -> ImageError:
    """The error of a picture that shows nothing."""
    return ImageError("a blank picture", expected="at least one stained object", remedy="leave it out")


def read_histogram(pixels: Pixels, *, white: float) -> Histogram:
    """From 0, or from the robust minimum of a picture with negative values, to white; exact for 8 bits."""
    low = min(0.0, ranked(pixels, EXTREME_SHARE)) if float(pixels.min()) < 0 else 0.0
    step = (white - low) / 255 or 1.0
    above = np.maximum(pixels, np.float32(low)) if low < 0 else pixels
    levels = cv2.convertScaleAbs(above, alpha=1 / step, beta=-low / step)
    return histogram_of(cv2.calcHist([levels], [0], None, [256], [0, 256]).reshape(-1), low=low, step=step)


def histogram_of(counts: Counts, *, low: float, step: float) -> Histogram:
    """The histogram with those counts of 256 levels, the first one at ``low``, ``step`` apart."""
    around = np.convolve(counts, np.ones(_SMOOTHING, np.float32), mode="same")
    mode = int((around + np.float32(1e-3) * counts).argmax())
    return Histogram(counts=counts, mode=mode, background=low + step * mode)


def ranked(values: Samples, quantile: float) -> float:
    """The value at ``quantile`` of ``values``: one that occurs, with no interpolation."""
    rank = int((values.size - 1) * quantile)
    return float(np.partition(values.reshape(-1), rank)[rank])
