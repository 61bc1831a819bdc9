"""Tests of ``supcam.measure.rivals.geometric``."""

from __future__ import annotations

import numpy as np
import pytest
from tests.drawn_clusters import draw_square, drawn_set

from supcam.core.types import ClusterType
from supcam.measure.rivals.geometric import FEATURE_NAMES, fit_geometric, geometric_features


def features_of(picture: np.ndarray) -> dict[str, float]:
    """The features of one crop by name."""
    return dict(zip(FEATURE_NAMES, geometric_features(picture[None].astype(np.float32))[0], strict=True))


def disc(radius: float, *, hole: float = 0.0) -> np.ndarray:
    """A disc of stain 1 in the middle, with a round hole."""
    rows, columns = np.mgrid[:112, :112] - 55.5
    distance = np.hypot(rows, columns)
    return np.asarray((distance <= radius) & (distance >= hole))


def test_there_are_eleven() -> None:
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 11


def test_a_disc_is_known_from_school() -> None:
    found = features_of(disc(30))
    assert found["area"] == pytest.approx(np.pi * 30**2, rel=0.01)
    assert found["major_axis"] == pytest.approx(60, rel=0.01)
    assert found["minor_axis"] == pytest.approx(60, rel=0.01)
    assert found["eccentricity"] == pytest.approx(0, abs=0.05)
    assert found["largest_thickness"] == pytest.approx(60, abs=2)
    assert found["solidity"] == pytest.approx(1, abs=0.02)
    assert found["convexity"] == pytest.approx(1, abs=0.06)
    assert found["circularity"] == pytest.approx(0.95, abs=0.05)
    assert found["extent"] == pytest.approx(np.pi / 4, rel=0.03)
    assert found["hole_share"] == 0


def test_a_rectangle_is_known_from_school() -> None:
    picture = np.zeros((112, 112))
    picture[40:60, 20:100] = 1
    found = features_of(picture)
    assert found["area"] == 1600
    assert found["perimeter"] == 2 * (19 + 79)
    assert found["major_axis"] == pytest.approx(4 * 80 / np.sqrt(12))
    assert found["minor_axis"] == pytest.approx(4 * 20 / np.sqrt(12))
    assert found["eccentricity"] == pytest.approx(np.sqrt(1 - (20 / 80) ** 2))
    assert found["solidity"] == found["extent"] == pytest.approx(1)


def test_a_hole_is_a_share_of_what_is_filled() -> None:
    assert features_of(disc(30, hole=15))["hole_share"] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("turn_deg", [17.0, 45.0, 80.0])
def test_turning_changes_little(turn_deg: float) -> None:
    straight = features_of(draw_square(ClusterType.TOUCHING))
    turned = features_of(draw_square(ClusterType.TOUCHING, turn_deg=turn_deg))
    for name in FEATURE_NAMES:
        assert turned[name] == pytest.approx(straight[name], rel=0.17, abs=0.02), name


def test_an_empty_crop_has_no_shape() -> None:
    assert not any(features_of(np.zeros((112, 112))).values())


def test_recognises_drawn_types() -> None:
    rival = fit_geometric(drawn_set(each=20))
    unseen = drawn_set(each=10, seed=1)
    reading = rival.read(unseen.pictures)
    assert np.mean(reading.types == unseen.types) > 0.85
    assert np.mean(reading.counts == unseen.counts) > 0.85
