"""How a network input looks, in thirteen numbers, and how unlike the pictures of calibration that is.

A network answers whatever it is shown. Its own scores tell natural pictures, text and tissue from chromosomes
worse than plain size, shape, stain and sharpness do (``docs/trust.md``): all inputs have one scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

LOOK = (
    "area", "thickness", "mean_thickness", "raggedness", "outlines", "stain", "stain_spread", "dark", "light",
    "edges", "strong_edges", "texture", "surroundings",
)  # fmt: skip
"""The numbers of a look, in their order."""
_BODY = 0.3
"""Stain from which on a pixel belongs to the body; 1 is the object's own level."""
_LEAST_PX = 10
_WIDTH_PX = 10.5
_SMALL = 1e-3

Square = Float32[np.ndarray, "size size"]
Look = Float64[np.ndarray, " numbers"]
Looks = Float64[np.ndarray, "batch numbers"]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Looks that are known: a mean for each of some groups, and the inverse of the spread within groups.

    A picture is as far from them as from the nearest mean (Mahalanobis); ``limit`` is the distance beyond
    which it counts as unlike all of them.
    """

    means: Float64[np.ndarray, "groups numbers"]
    precision: Float64[np.ndarray, "numbers numbers"]
    limit: float

    def unfamiliarity(self, looks: Looks) -> Float64[np.ndarray, " batch"]:
        """The distance of each look as a share of the limit: above 1 it is unlike all that is known."""
        return distances(looks, means=self.means, precision=self.precision) / self.limit


def distances(
    looks: Looks,
    *,
    means: Float64[np.ndarray, "groups numbers"],
    precision: Float64[np.ndarray, "numbers numbers"],
) -> Float64[np.ndarray, " batch"]:
    """The Mahalanobis distance of each look to the nearest of the means."""
    apart = looks[:, None, :] - means[None, :, :]
    squares = np.einsum("bgn,nm,bgm->bg", apart, precision, apart)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0).min(axis=1)))


def look_of(square: Square) -> Look:
    """The numbers of ``LOOK``: lengths, areas and gradients as logarithms, stain as it is."""
    body = _body(square)
    framed = np.pad(body.astype(np.uint8), 1)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)
    lines, _ = cv2.findContours(framed, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    area = float(body.sum())
    ribbon = 2 * (area / _WIDTH_PX + _WIDTH_PX)
    outline = sum(cv2.arcLength(line, closed=True) for line in lines)
    steps = np.hypot(cv2.Sobel(square, cv2.CV_32F, 1, 0), cv2.Sobel(square, cv2.CV_32F, 0, 1))[body]
    texture = np.abs(cv2.Laplacian(square, cv2.CV_32F))[body]
    light, dark = np.quantile(square[body], (0.05, 0.95))
    return np.array(
        [
            np.log(area),
            np.log(2 * inside.max()),
            np.log(2 * inside[inside > 0].mean()),
            np.log(outline / ribbon + 0.1),
            np.log(len(lines)),
            square[body].mean(),
            square[body].std(),
            dark,
            light,
            np.log(steps.mean() + _SMALL),
            np.log(np.quantile(steps, 0.9) + _SMALL),
            np.log(texture.mean() + _SMALL),
            square[~body].mean() if not body.all() else 1.0,
        ],
        np.float64,
    )


def _body(square: Square) -> Bool[np.ndarray, "size size"]:
    """The stained pixels, or the ten with most stain where there are fewer."""
    body = np.asarray(square > _BODY)
    if np.count_nonzero(body) >= _LEAST_PX:
        return body
    return np.asarray(square >= np.partition(square.ravel(), -_LEAST_PX)[-_LEAST_PX])
