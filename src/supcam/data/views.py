"""Geometric and photometric changes of a network input; two views of one picture.

What varies between laboratories and must not matter: direction, place, sharpness, contrast, noise, and how
much background the threshold leaves around the object. All of it is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from supcam.core.config import ViewConfig
from supcam.core.crop import Square, normalise

_LEAST_BLUR_PX = 0.2
_RIM = 0.5
"""Stain below which a pixel of the object counts as its rim, as a share of the object's level."""
_SPECK_PX = (0.7, 2.5)
_SPECK_EDGE = 0.1
_BODY = 0.3
"""Share of the object's level above which stain is body: bands are changed there, edges are not."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoViews:
    """Two independent views of one picture: a query and its key."""

    query: Square
    key: Square


def two_views(picture: Square, *, config: ViewConfig, rng: np.random.Generator) -> TwoViews:
    """Two views of ``picture`` drawn one after the other."""
    query = draw_view(picture, config=config, rng=rng)
    return TwoViews(query=query, key=draw_view(picture, config=config, rng=rng))


def draw_view(picture: Square, *, config: ViewConfig, rng: np.random.Generator) -> Square:
    """``picture`` turned, moved and photographed anew; same shape, normalised as every network input is."""
    moved = _turned(_shifted(picture, limit_px=config.shift_px, rng=rng), rng=rng)
    soiled = _soiled(moved, rng=rng) if rng.random() < config.speck_share else moved
    banded = _banded(soiled, config=config, rng=rng)
    focused = _focused(banded, config=config, rng=rng)
    exposed = _exposed(focused, config=config, rng=rng)
    return normalise(_noisy(exposed, strongest=config.noise, rng=rng))


def _turned(picture: Square, *, rng: np.random.Generator) -> Square:
    """One of the eight quarter turns and mirror images: exact, nothing is resampled."""
    turned = np.rot90(picture, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.integers(2) else turned)


def _shifted(picture: Square, *, limit_px: int, rng: np.random.Generator) -> Square:
    """``picture`` moved by whole pixels; only as far as nothing stained leaves it."""
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    if not rows.size or not limit_px:
        return picture
    down = _draw_shift(int(rows[0]), picture.shape[0] - 1 - int(rows[-1]), limit_px=limit_px, rng=rng)
    right = _draw_shift(int(columns[0]), picture.shape[1] - 1 - int(columns[-1]), limit_px=limit_px, rng=rng)
    return np.roll(picture, (down, right), axis=(0, 1))


def _draw_shift(room_before: int, room_after: int, *, limit_px: int, rng: np.random.Generator) -> int:
    return int(rng.integers(-min(room_before, limit_px), min(room_after, limit_px) + 1))


def _soiled(picture: Square, *, rng: np.random.Generator) -> Square:
    """``picture`` with a few specks of dirt on the rim of the object, each narrower than a chromosome."""
    rim = np.flatnonzero((picture > 0) & (picture < _RIM))
    soiled = picture.copy()
    if not rim.size:
        return soiled
    y, x = np.indices(picture.shape, dtype=np.float32)
    for place in rim[rng.integers(rim.size, size=int(rng.integers(1, 6)))]:
        row, column = divmod(int(place), picture.shape[1])
        reach = rng.uniform(*_SPECK_PX, size=2)
        speck = np.exp(-(((y - row) / reach[0]) ** 2) - ((x - column) / reach[1]) ** 2)
        soiled += np.where(speck > _SPECK_EDGE, np.float32(rng.uniform(0.3, 1.2)) * speck, np.float32(0))
    return np.asarray(soiled, np.float32)


def _banded(picture: Square, *, config: ViewConfig, rng: np.random.Generator) -> Square:
    """``picture`` with its bands paler or harder: how far stain goes from its local mean inside the body.

    The local mean leaves out the background, so that edges stay where they are and as soft as they are.
    """
    low, high = config.banding
    factor = np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))
    body = (picture > _BODY).astype(np.float32)
    sigma = float(rng.uniform(*config.band_px))
    weight = cv2.GaussianBlur(body, (0, 0), sigma)
    mean = cv2.GaussianBlur(picture * body, (0, 0), sigma) / np.maximum(weight, np.float32(1e-3))
    return np.maximum(np.where(body > 0, mean + factor * (picture - mean), picture), np.float32(0))


def _focused(picture: Square, *, config: ViewConfig, rng: np.random.Generator) -> Square:
    """``picture`` blurred, or sharpened as scanners do (unsharp mask); stain never falls below 0."""
    if rng.random() < 0.5:
        sigma = rng.uniform(*config.blur_px)
        return picture if sigma < _LEAST_BLUR_PX else cv2.GaussianBlur(picture, (0, 0), sigma)
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.7, 1.6))
    sharp = picture + np.float32(rng.uniform(0, config.sharpen)) * (picture - soft)
    return np.where(picture > 0, np.maximum(sharp, 0), np.float32(0))


def _exposed(picture: Square, *, config: ViewConfig, rng: np.random.Generator) -> Square:
    """Another contrast (exponent on the stain) and more or less background left in the rim."""
    low, high = config.gamma
    curved = np.power(picture, np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))
    pedestal = np.float32(config.pedestal * rng.uniform(-1, 1))
    return np.asarray(np.maximum(curved + pedestal * (picture > 0), 0))


def _noisy(picture: Square, *, strongest: float, rng: np.random.Generator) -> Square:
    """Camera noise on stain and rim, its grain one to two pixels. The cut-out background stays 0."""
    sigma = np.float32(strongest * rng.random() ** 2)
    grain: Square = rng.standard_normal(picture.shape, np.float32)
    if rng.random() < 0.5:
        grain = np.float32(2) * cv2.GaussianBlur(grain, (0, 0), 0.7)
    return np.asarray(np.maximum(picture + sigma * grain * (picture > 0), 0))
