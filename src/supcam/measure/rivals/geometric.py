"""Eleven geometric features of an object's mask -> type and number: the method of 2020, as far as known.

Lin et al. (BIBM 2020, pp. 2357-2363) told single chromosomes from clusters by eleven geometric features and
classifiers of scikit-learn. Solidity, perimeter and eccentricity are among theirs. The other eight are our
choice, as are the mask, the classifiers' settings, four types where they had two classes, and the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from supcam.core.reading import JointReading
from supcam.core.types import Mask
from supcam.data.crop_set import CropSet, Pictures
from supcam.measure.rivals.classifier import ClassifierPlan, FeatureClassifier, fit_classifier
from supcam.measure.rivals.shapes import distance_inside, object_mask

FEATURE_NAMES = (
    "area",
    "perimeter",
    "major_axis",
    "minor_axis",
    "eccentricity",
    "solidity",
    "extent",
    "circularity",
    "convexity",
    "largest_thickness",
    "hole_share",
)
"""Lengths and areas are in input pixels: ``core.crop`` gives all chromosomes about one width."""

Table = Float64[np.ndarray, "batch features"]


@dataclass(frozen=True, slots=True, eq=False)
class GeometricRival:
    """A classifier that sees nothing of a crop but the shape of its mask."""

    classifier: FeatureClassifier

    def read(self, pictures: Pictures) -> JointReading:
        """Type and number of each crop."""
        return self.classifier.read(geometric_features(pictures))


def fit_geometric(train: CropSet, *, plan: ClassifierPlan | None = None) -> GeometricRival:
    """The rival fitted on ``train``. Raises ``ManifestError`` when there are not two types to tell apart."""
    features = geometric_features(train.pictures)
    return GeometricRival(fit_classifier(features, types=train.types, counts=train.counts, plan=plan))


def geometric_features(pictures: Pictures) -> Table:
    """``FEATURE_NAMES`` of each crop, one row each; zeros where nothing is above the threshold."""
    return np.array([_features(object_mask(picture)) for picture in pictures]).reshape(-1, len(FEATURE_NAMES))


def _features(mask: Mask) -> Float64[np.ndarray, " features"]:
    """The eleven features of one mask; its pieces count together.

    The axes are those of the ellipse with the same second moments, solidity is the share of the convex hull
    that is filled, extent that of the smallest rectangle at any angle, circularity 4 pi area / perimeter^2,
    convexity the hull's perimeter over the outlines', thickness twice the largest distance from the
    background, and the hole share that of the area within the outer outlines.
    """
    if not mask.any():
        return np.zeros(len(FEATURE_NAMES))
    pixels = mask.astype(np.uint8)
    outlines = _outlines(pixels)
    area, perimeter = float(pixels.sum()), sum(cv2.arcLength(line, True) for line in outlines)
    hull = cv2.convexHull(np.concatenate(outlines))
    (_, sides, _), (major, minor) = cv2.minAreaRect(hull), _axes(pixels)
    values = (
        area,
        perimeter,
        major,
        minor,
        np.sqrt(1 - (minor / major) ** 2),
        area / _filled(mask, outlines=[hull]),
        area / ((sides[0] + 1) * (sides[1] + 1)),
        4 * np.pi * area / max(perimeter, 1.0) ** 2,
        cv2.arcLength(hull, True) / max(perimeter, 1.0),
        2 * float(distance_inside(mask).max()),
        1 - area / _filled(mask, outlines=outlines),
    )
    return np.array(values, np.float64)


def _outlines(pixels: UInt8[np.ndarray, "height width"]) -> list[np.ndarray]:
    """The outer outline of each piece, through the middles of its outermost pixels."""
    outlines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return list(outlines)


def _filled(mask: Mask, *, outlines: Sequence[np.ndarray]) -> int:
    """Pixels on the outlines and within."""
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(canvas, list(outlines), -1, 1, cv2.FILLED)
    return int(canvas.sum())


def _axes(pixels: UInt8[np.ndarray, "height width"]) -> tuple[float, float]:
    """The long and the short axis of the ellipse with the same second moments; a pixel is a square."""
    found = cv2.moments(pixels, True)
    spread = np.array([[found["mu20"], found["mu11"]], [found["mu11"], found["mu02"]]]) / found["m00"]
    short, long = np.linalg.eigvalsh(spread + np.eye(2) / 12)
    return 4 * float(np.sqrt(long)), 4 * float(np.sqrt(short))
