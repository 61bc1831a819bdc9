"""A grey crop -> the same crop, worse: what a microscope, a camera, a file or a careless cut may do to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import UInt8

Grey = UInt8[np.ndarray, "_ _"]
"""The axes are not named: a change may make another size."""
_WHITE = 255


class Change(Protocol):
    """A crop and a strength -> the changed crop; what is drawn comes from ``rng``."""

    def __call__(self, grey: Grey, strength: float, /, *, rng: np.random.Generator) -> Grey:
        """The changed crop."""
        ...


@dataclass(frozen=True, slots=True)
class Distortion:
    """A way in which a crop gets worse.

    ``unit`` says what a strength is; at ``strengths[0]`` nothing changes. ``change`` takes the crop (dark on
    white), a strength, and what it draws by.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    change: Change


def blurred(grey: Grey, sigma_px: float, *, rng: np.random.Generator) -> Grey:  # noqa: ARG001
    """``grey`` out of focus: a Gaussian of that deviation; what was cut away white stays white."""
    if sigma_px == 0:
        return grey
    return _inside(grey, cv2.GaussianBlur(grey, (0, 0), sigma_px))


def noisy(grey: Grey, deviation: float, *, rng: np.random.Generator) -> Grey:
    """``grey`` with a camera's noise, in grey levels of 255; what was cut away white stays white."""
    return _inside(grey, _clipped(grey + rng.normal(0, deviation, grey.shape)))


def of_contrast(grey: Grey, factor: float, *, rng: np.random.Generator) -> Grey:  # noqa: ARG001
    """``grey`` with that factor on its distance from white: below 1 a faint stain, above 1 a harsh one."""
    return _clipped(_WHITE - factor * (_WHITE - grey.astype(np.float64)))


def as_jpeg(grey: Grey, quality: float, *, rng: np.random.Generator) -> Grey:  # noqa: ARG001
    """``grey`` after it was kept as JPEG of that quality; above 100 it was not."""
    if quality > 100:
        return grey
    done, code = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    assert done
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)


def scaled(grey: Grey, factor: float, *, rng: np.random.Generator) -> Grey:  # noqa: ARG001
    """``grey`` as a camera with that many times the pixels along a side would have taken it."""
    if factor == 1:
        return grey
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, None, fx=factor, fy=factor, interpolation=way), np.uint8)


def turned(grey: Grey, degrees: float, *, rng: np.random.Generator) -> Grey:  # noqa: ARG001
    """``grey`` turned about its centre on a white sheet that is large enough for all of it."""
    if degrees == 0:
        return grey
    height, width = grey.shape
    side = int(np.ceil(np.hypot(height, width)))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    matrix[:, 2] += [(side - width) / 2, (side - height) / 2]
    sheet = cv2.warpAffine(
        grey, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=_WHITE
    )
    return np.asarray(sheet, np.uint8)


def inverted(grey: Grey, share: float, *, rng: np.random.Generator) -> Grey:  # noqa: ARG001
    """``grey`` bright on black where ``share`` is 1, as fluorescence shows it; unchanged where it is 0."""
    return np.asarray(_WHITE - grey, np.uint8) if share else grey


def cropped(grey: Grey, share: float, *, rng: np.random.Generator) -> Grey:
    """``grey`` without that share of its object's length or width, lost on one of the four sides."""
    if share == 0:
        return grey
    darkest = int(grey.min())
    if darkest == _WHITE:
        return grey
    rows, columns = np.nonzero(grey < (darkest + _WHITE) / 2)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    down, across = round(share * (bottom - top)), round(share * (right - left))
    sides = (
        np.s_[top + down :, :],
        np.s_[: bottom - down, :],
        np.s_[:, left + across :],
        np.s_[:, : right - across],
    )
    return np.ascontiguousarray(grey[sides[int(rng.integers(4))]])


DISTORTIONS: Mapping[str, Distortion] = {
    each.name: each
    for each in (
        Distortion("blur", "deviation, px", (0, 1, 2, 3), blurred),
        Distortion("noise", "deviation, grey levels", (0, 10, 25, 50), noisy),
        Distortion("contrast", "factor", (1, 0.5, 0.25, 0.1, 2), of_contrast),
        Distortion("jpeg", "quality", (101, 50, 20, 5), as_jpeg),
        Distortion("scale", "factor", (1, 0.5, 0.7, 1.4, 2), scaled),
        Distortion("rotation", "degrees", (0, 15, 45, 90), turned),
        Distortion("polarity", "inverted", (0, 1), inverted),
        Distortion("cropping", "share lost on one side", (0, 0.1, 0.25, 0.5), cropped),
    )
}
"""All ways; the first strength of each changes nothing."""


def _inside(before: Grey, after: Grey) -> Grey:
    """``after`` where the crop had a picture; exact white, as is left by cutting out, stays."""
    return np.where(before == _WHITE, before, after)


def _clipped(values: np.ndarray) -> Grey:
    return np.asarray(np.clip(np.rint(values), 0, _WHITE), np.uint8)
