from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.core.config import ForegroundConfig, ImageConfig
from supcam.core.crop import region_from_crop
from supcam.core.image import grey_from_array, outside_mask, to_stain
from supcam.core.types import Box, Polarity
from supcam.spread.analyze import analyze
from supcam.spread.crops import cut_from, cut_out
from supcam.spread.picture import open_picture
from supcam.spread.result import Analysis


def analysed(folder: Path, polarity: Polarity) -> Analysis:
    return analyze(drawn(0, polarity=polarity).grey, model=tiny_spread_model(folder / "tiny"))


@pytest.mark.parametrize("polarity", list(Polarity))
def test_a_crop_read_again_shows_the_object_alone(tmp_path: Path, polarity: Polarity) -> None:
    analysis = analysed(tmp_path, polarity)
    for item in analysis.kept:
        crop = cut_out(item, width_px=analysis.quality.width_px, polarity=polarity)
        grey = grey_from_array(crop)
        outside = outside_mask(grey.pixels, white=grey.white)
        assert outside.any() == (polarity is Polarity.BRIGHT_FIELD)
        region = region_from_crop(
            to_stain(grey), outside=outside if outside.any() else None, config=ForegroundConfig()
        )
        assert region.mask.sum() == pytest.approx(item.area_px, rel=0.35)


def test_a_crop_at_the_border_keeps_its_place(tmp_path: Path) -> None:
    grey = drawn(0).grey[40:, :]
    analysis = analyze(grey, model=tiny_spread_model(tmp_path / "tiny"))
    for item in analysis.kept:
        top, left = item.crop_start
        assert item.crop is not None
        inside = item.crop[top : top + item.box.height, left : left + item.box.width]
        np.testing.assert_array_equal(inside, grey[item.box.slices])


def test_an_object_without_a_picture_cannot_be_cut(tmp_path: Path) -> None:
    item = replace(analysed(tmp_path, Polarity.BRIGHT_FIELD).kept[0], crop=None)
    with pytest.raises(ValueError, match="no picture"):
        cut_out(item, width_px=10, polarity=Polarity.BRIGHT_FIELD)


def test_objects_marked_by_others_are_cut_out_like_those_of_an_analysis(tmp_path: Path) -> None:
    model = tiny_spread_model(tmp_path / "tiny")
    grey = drawn(0).grey
    analysis = analyze(grey, model=model)
    width_px = analysis.quality.width_px
    with open_picture(grey, config=ImageConfig()) as picture:
        for item in analysis.kept:
            ours = cut_out(item, width_px=width_px, polarity=analysis.polarity)
            theirs = cut_from(picture, box=item.box, mask=item.mask, width_px=width_px)
            np.testing.assert_array_equal(ours, theirs)
        plain = cut_from(picture, box=Box(0, 20, 30, 60), mask=None, width_px=width_px)
        np.testing.assert_array_equal(plain, grey[0:44, 6:74])
