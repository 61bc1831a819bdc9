"""Stain -> the picture that a camera takes of it: light, ground, sharpening, noise, grey levels."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from pydantic import Field

from supcam.core.config import StageConfig
from supcam.core.types import Polarity, Stain
from supcam.data.drawing import mottle

Exposure = Float32[np.ndarray, "height width"]
"""Light on the camera as a share of full scale, 0 to 1."""

_SHADE_NODES = 4
_SHADE_PX = 600
_NOISE_REACH_PX = 0.6
_SHARPENED_PX = 2.0
_GLOW_REDUCTION = 8
_WHITE_16_BIT = 65_535


class Camera(StageConfig):
    """How stain becomes grey levels. Shares of full scale unless said otherwise; our choice."""

    polarity: Polarity = Field(Polarity.BRIGHT_FIELD, description="Dark on bright, or bright on dark.")
    background: float = Field(
        0.93, ge=0.005, le=1.3, description="Light where there is no stain; above 1 it saturates."
    )
    gain: float = Field(0.7, gt=0, le=2, description="Fluorescence: light of a stain of 1.")
    unevenness: float = Field(0.03, ge=0, le=0.5, description="How much the illumination varies.")
    ground: float = Field(
        0.0, ge=0, le=0.2, description="Stain of the ground at its most: blotches, pale spots out of focus."
    )
    specks: int = Field(
        0, ge=0, le=5000, description="Specks a megapixel, each too small to be an object, up to 0.3 dark."
    )
    glow: float = Field(
        0.0, ge=0, le=0.5, description="Fluorescence: share of the light that is scattered far around."
    )
    sharpening: float = Field(0.0, ge=0, le=3, description="Unsharp mask; leaves a halo around objects.")
    noise: float = Field(0.006, ge=0, le=0.1, description="Standard deviation of the camera's noise.")
    jpeg_quality: int = Field(0, ge=0, le=100, description="Of 8-bit pictures; 0: kept without loss.")


def expose(stain: Stain, *, camera: Camera, width_px: float, rng: np.random.Generator) -> Exposure:
    """The light that ``camera`` gets from a slide with ``stain``; chromosomes are ``width_px`` wide.

    Bright field: background * 10^-stain. Fluorescence: background + gain * stain.
    """
    light = 1 + camera.unevenness * slow_waves(rng, shape=stain.shape)
    on_ground = stain + _ground(rng, shape=stain.shape, camera=camera, width_px=width_px)
    if camera.polarity is Polarity.BRIGHT_FIELD:
        exact = camera.background * light * np.exp(np.float32(-math.log(10)) * on_ground)
    else:
        scattered = _glow(on_ground, share=camera.glow, reach_px=1.5 * width_px)
        exact = light * (camera.background + camera.gain * scattered)
    if camera.sharpening:
        exact += camera.sharpening * (exact - cv2.GaussianBlur(exact, (0, 0), _SHARPENED_PX))
    exact += camera.noise * soft_noise(rng, shape=stain.shape)
    return np.asarray(np.clip(exact, 0, 1), np.float32)


def to_8_bit(exposure: Exposure, *, camera: Camera) -> UInt8[np.ndarray, "height width"]:
    """Grey levels 0 to 255, with the traces of a JPEG file if the camera writes such."""
    grey = np.asarray(np.rint(255 * exposure), np.uint8)
    if not camera.jpeg_quality:
        return grey
    done, content = cv2.imencode(".jpg", grey, (cv2.IMWRITE_JPEG_QUALITY, camera.jpeg_quality))
    assert done
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.uint8)


def to_16_bit(exposure: Exposure) -> UInt16[np.ndarray, "height width"]:
    """Grey levels 0 to 65535, as a file without loss has them."""
    return np.asarray(np.rint(_WHITE_16_BIT * exposure), np.uint16)


def slow_waves(rng: np.random.Generator, *, shape: tuple[int, int]) -> Exposure:
    """A smooth surface between about -1 and 1; a small picture sees but a small part of the waves."""
    nodes = rng.uniform(-1, 1, (_SHADE_NODES, _SHADE_NODES)).astype(np.float32)
    seen = np.float32(min(1.0, max(shape) / _SHADE_PX))
    return seen * cv2.resize(nodes, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def soft_noise(rng: np.random.Generator, *, shape: tuple[int, int]) -> Exposure:
    """Noise with a standard deviation of about 1 that neighbouring pixels share in part."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    return cv2.GaussianBlur(noise, (0, 0), _NOISE_REACH_PX) / np.float32(0.47)


def _ground(rng: np.random.Generator, *, shape: tuple[int, int], camera: Camera, width_px: float) -> Stain:
    """What stains the glass: blotches of several widths, and round spots that are out of focus."""
    blotches = 0.2 * (1 + mottle(rng, shape=shape, size_px=4 * width_px))
    spots = np.zeros(shape, np.float32)
    for _ in range(int(rng.integers(5, 30))):
        centre = rng.integers(0, (shape[1], shape[0]))
        radius = max(1, round(width_px * rng.uniform(0.25, 0.8)))
        cv2.circle(spots, tuple(map(int, centre)), radius, rng.uniform(0.3, 1.0), -1)
    blurred = cv2.GaussianBlur(spots, (0, 0), 0.3 * width_px)
    stain = np.float32(camera.ground) * np.clip(blotches + blurred, 0, 1).astype(np.float32)
    return np.asarray(stain + _specks(rng, shape=shape, camera=camera))


def _specks(rng: np.random.Generator, *, shape: tuple[int, int], camera: Camera) -> Stain:
    """Dust: dots of a few pixels."""
    dots = np.zeros(shape, np.float32)
    n_dots = round(camera.specks * dots.size / 1e6)
    rows, columns = (rng.integers(0, side, n_dots) for side in shape)
    np.maximum.at(dots, (rows, columns), rng.uniform(0.1, 1, n_dots).astype(np.float32) ** 2)
    return cv2.GaussianBlur(dots, (0, 0), 1.0) * np.float32(0.3 * 2 * math.pi)


def _glow(stain: Stain, *, share: float, reach_px: float) -> Stain:
    """``stain`` with ``share`` of its light scattered."""
    if not share:
        return stain
    size = (max(1, stain.shape[1] // _GLOW_REDUCTION), max(1, stain.shape[0] // _GLOW_REDUCTION))
    small = cv2.resize(stain, size, interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), reach_px / _GLOW_REDUCTION)
    scattered = cv2.resize(wide, (stain.shape[1], stain.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray((1 - share) * stain + share * scattered, np.float32)
