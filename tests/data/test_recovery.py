"""Objects laid out by hand, against components laid out by hand."""

from __future__ import annotations

import cv2
import numpy as np

from supcam.core.foreground import Foreground
from supcam.core.types import Box
from supcam.data.recovery import Found, find_again


def foreground_of(mask: np.ndarray) -> Foreground:
    n_labels, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    boxes = tuple(Box(int(y), int(x), int(y + h), int(x + w)) for x, y, w, h, _ in stats[1:])
    areas = tuple(int(area) for area in stats[1:, cv2.CC_STAT_AREA])
    assert len(boxes) == n_labels - 1
    clutter = (None,) * len(boxes)
    stain = mask.astype(np.float32)
    return Foreground(stain, labels, boxes, areas, clutter=clutter, typical_stain=1.0, width_px=8.0)


def two_bars() -> np.ndarray:
    labels = np.zeros((40, 60), np.uint16)
    labels[5:15, 5:55] = 1
    labels[25:35, 5:55] = 2
    return labels


def test_object_with_a_component_of_its_own_is_whole() -> None:
    labels = two_bars()
    grown = cv2.dilate((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert find_again(labels, foreground=foreground_of(labels > 0)) == (Found.WHOLE, Found.WHOLE)
    assert find_again(labels, foreground=foreground_of(grown)) == (Found.WHOLE, Found.WHOLE)


def test_object_in_two_components_is_split_unless_one_is_a_speck() -> None:
    labels = two_bars()
    mask = labels > 0
    mask[5:15, 30:32] = False
    assert find_again(labels, foreground=foreground_of(mask)) == (Found.SPLIT, Found.WHOLE)
    mask = labels > 0
    mask[5:15, 7:9] = False  # leaves 20 of 480 pixels aside
    assert find_again(labels, foreground=foreground_of(mask)) == (Found.WHOLE, Found.WHOLE)


def test_two_objects_in_one_component_are_both_merged() -> None:
    labels = two_bars()
    mask = labels > 0
    mask[5:35, 20:24] = True
    assert find_again(labels, foreground=foreground_of(mask)) == (Found.MERGED, Found.MERGED)


def test_object_that_is_mostly_background_is_missed() -> None:
    labels = two_bars()
    mask = labels == 2
    mask[5:15, 5:25] = True
    assert find_again(labels, foreground=foreground_of(mask)) == (Found.MISSED, Found.WHOLE)
    assert find_again(labels, foreground=foreground_of(labels == 7)) == (Found.MISSED, Found.MISSED)


def test_foreground_that_is_no_object_does_not_count() -> None:
    labels = two_bars()
    mask = labels > 0
    mask[15:20, 50:60] = True
    assert find_again(labels, foreground=foreground_of(mask)) == (Found.WHOLE, Found.WHOLE)
    assert find_again(np.zeros((40, 60), np.uint16), foreground=foreground_of(mask)) == ()
