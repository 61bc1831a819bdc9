from __future__ import annotations

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from tests.drawn_spreads import drawn

from supcam.core.config import ForegroundConfig
from supcam.core.foreground import find_foreground
from supcam.core.types import Box, ImageError, Polarity, Stain
from supcam.spread import finding
from supcam.spread.finding import Found, WholeStain, find_ground, find_objects

CONFIG = ForegroundConfig()


def found_in(
    stain: Stain, *, write_px: int = 2048, polarity: Polarity = Polarity.BRIGHT_FIELD
) -> list[Found]:
    source = WholeStain(stain, polarity=polarity)
    ground = find_ground(source, config=CONFIG)
    areas = find_objects(source, ground=ground, config=CONFIG, write_px=write_px)
    return sorted((each for area in areas for each in area), key=lambda each: (each.first, each.box.top))


def told(found: list[Found]) -> list[tuple[object, ...]]:
    return [
        (each.first, each.box, each.area_px, each.clutter, each.is_cut, each.mask.tobytes()) for each in found
    ]


def long_body() -> Stain:
    """Something far longer than an area with its margin, bent so that its parts look apart, and two bars."""
    stain = np.zeros((700, 700), np.float32)
    stain[20:680, 20:34] = 0.5
    stain[20:680, 660:674] = 0.5
    stain[666:680, 20:674] = 0.5
    stain[200:214, 200:280] = 0.5
    stain[400:414, 300:380] = 0.5
    return cv2.GaussianBlur(stain, (0, 0), 1.2)


def test_one_area_finds_what_the_foreground_finds() -> None:
    stain = drawn(1, n_nuclei=1).stain
    whole, found = find_foreground(stain, config=CONFIG), found_in(stain)
    boxes = [(box.top, box.left, box.bottom, box.right) for box in whole.boxes]
    assert sorted(boxes) == sorted((e.box.top, e.box.left, e.box.bottom, e.box.right) for e in found)
    assert sorted(whole.areas_px) == sorted(each.area_px for each in found)


@pytest.mark.parametrize("write_px", [40, 97, 200])
def test_small_areas_find_what_one_area_finds(write_px: int) -> None:
    stain = drawn(1, n_nuclei=1).stain
    assert told(found_in(stain, write_px=write_px)) == told(found_in(stain))


def test_what_the_model_sees_hangs_on_no_area() -> None:
    stain = drawn(2).stain
    for one, other in zip(found_in(stain), found_in(stain, write_px=80), strict=True):
        assert (one.region is None) == (other.region is None)
        if one.region is not None and other.region is not None:
            np.testing.assert_array_equal(one.region.stain, other.region.stain)


def test_areas_of_a_picture_with_glow_find_what_one_area_finds() -> None:
    sharp = drawn(1, n_nuclei=1).stain
    stain = np.asarray(sharp + cv2.GaussianBlur(sharp, (0, 0), 15), np.float32)
    whole = found_in(stain, polarity=Polarity.FLUORESCENCE)
    assert told(found_in(stain, write_px=97, polarity=Polarity.FLUORESCENCE)) == told(whole)
    assert told(found_in(stain)) != told(whole)
    boxes = find_foreground(stain, config=CONFIG, polarity=Polarity.FLUORESCENCE).boxes
    assert sorted(map(astuple, boxes)) == sorted(astuple(each.box) for each in whole)


@pytest.mark.parametrize("write_px", [64, 150])
def test_a_body_longer_than_an_area_is_found_once(write_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MARGIN_PX", 60)
    stain = long_body()
    assert told(found_in(stain, write_px=write_px)) == told(found_in(stain))
    assert len(found_in(stain)) == 3


def test_a_body_too_large_for_any_area_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MARGIN_PX", 60)
    monkeypatch.setattr(finding, "_WIDEST_PX", 200)
    found = found_in(long_body(), write_px=64)
    assert any(each.is_too_large and each.region is None for each in found)


def test_objects_at_the_border_are_cut() -> None:
    stain = np.zeros((300, 300), np.float32)
    stain[:40, 100:114] = stain[120:134, 100:180] = stain[200:214, 100:180] = 0.5
    assert [each.is_cut for each in found_in(stain)] == [True, False, False]


def test_masks_do_not_share_pixels() -> None:
    stain = drawn(3).stain
    owners = np.zeros(stain.shape, np.int32)
    for each in found_in(stain, write_px=100):
        assert each.area_px == int(each.mask.sum())
        owners[each.box.slices] += each.mask
    assert owners.max() == 1


def test_a_blank_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="no stained object"):
        found_in(np.zeros((100, 100), np.float32))


def test_levels_of_a_large_picture_come_from_its_fullest_areas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "WRITE_PX", 360)
    monkeypatch.setattr(finding, "WHOLE_PIXELS", 360 * 400)
    small = drawn(1).stain
    large = np.zeros((1440, 1600), np.float32)
    large[720:1080, 1080:1480] = small
    one = find_ground(WholeStain(small), config=CONFIG).levels
    other = find_ground(WholeStain(large), config=CONFIG).levels
    assert other.typical_stain == pytest.approx(one.typical_stain, rel=0.15)
    assert other.width_px == pytest.approx(one.width_px, rel=0.1)


def test_a_source_is_asked_for_parts_only() -> None:
    asked: list[Box] = []

    class Watched(WholeStain):
        def stain(self, box: Box) -> Stain:
            asked.append(box)
            return np.ascontiguousarray(self.picture[box.slices])

    source = Watched(drawn(1).stain)
    ground = find_ground(source, config=CONFIG)
    asked.clear()
    list(find_objects(source, ground=ground, config=CONFIG, write_px=64))
    assert len(asked) >= 6 * 6
