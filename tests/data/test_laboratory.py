from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from supcam.core.types import Polarity
from supcam.data.laboratory import N_LABORATORIES, Laboratory, draw_slide, virtual_laboratory


@pytest.fixture(scope="module")
def laboratories() -> list[Laboratory]:
    return [virtual_laboratory(number) for number in range(N_LABORATORIES)]


def test_laboratory_of_a_seed_is_always_the_same(laboratories: list[Laboratory]) -> None:
    assert virtual_laboratory(7) == laboratories[7]
    assert virtual_laboratory(7, seed=1) != laboratories[7]
    assert [one.name for one in laboratories] == [str(number) for number in range(N_LABORATORIES)]


def test_twenty_laboratories_differ_in_everything(laboratories: list[Laboratory]) -> None:
    def spread(name: str) -> float:
        values = [getattr(one, name) for one in laboratories]
        return float(max(values) / min(values))

    assert {one.level for one in laboratories} == {400, 550, 850}
    assert sum(one.camera.polarity is Polarity.FLUORESCENCE for one in laboratories) == 4
    assert spread("width_px") > 1.7
    assert spread("stain_level") > 2
    assert spread("blur_px") > 2
    assert spread("band_contrast") > 1.8
    assert len({one.picture_px for one in laboratories}) == N_LABORATORIES
    bright = [one.camera for one in laboratories if one.camera.polarity is Polarity.BRIGHT_FIELD]
    assert sum(camera.background >= 1 for camera in bright) >= 4
    assert sum(camera.background < 0.9 for camera in bright) >= 3
    assert sum(camera.unevenness > 0.05 for camera in bright) >= 3
    assert sum(camera.jpeg_quality > 0 for camera in bright) >= 3


def test_more_bands_mean_longer_chromosomes(laboratories: list[Laboratory]) -> None:
    mean = {
        level: np.mean([one.longest_widths for one in laboratories if one.level == level])
        for level in (400, 550, 850)
    }
    assert mean[400] < mean[550] < mean[850]


def test_slides_of_a_laboratory_differ_by_a_few_parts_in_a_hundred(laboratories: list[Laboratory]) -> None:
    laboratory = laboratories[3]
    slides = [draw_slide(np.random.default_rng(seed), laboratory=laboratory) for seed in range(40)]
    for name in ("width_px", "stain_level", "blur_px", "band_contrast"):
        ratio = [getattr(slide.preparation, name) / getattr(laboratory, name) for slide in slides]
        assert 0.94 <= min(ratio) < 0.97
        assert 1.03 < max(ratio) <= 1.06
    assert {slide.banding.level for slide in slides} == {laboratory.level}
    assert all(slide.added_stain <= 1 for slide in slides)


def test_bodies_hang_together_better_where_the_camera_takes_stain_away(
    laboratories: list[Laboratory],
) -> None:
    def bridge(**camera: float) -> float:
        laboratory = Laboratory.model_validate({"stain_level": 0.3, "camera": camera})
        return draw_slide(np.random.default_rng(0), laboratory=laboratory).bridge

    assert bridge(background=0.9) == 1.15
    assert bridge(background=0.9, sharpening=0.5) == pytest.approx(1.3)
    assert bridge(background=1.08) == pytest.approx(1.15 + np.log10(1.08) / (0.38 * 0.18))
    assert all(
        1.15 <= draw_slide(np.random.default_rng(0), laboratory=one).bridge < 2.5 for one in laboratories
    )


def test_numbers_beyond_the_twenty_are_laboratories_too() -> None:
    assert virtual_laboratory(4321).name == "4321"


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": 500},
        {"width_px": 3},
        {"width_px": 8, "blur_px": 2},
        {"picture_px": (20, 700)},
        {"picture_px": (700, 70_000)},
        {"camera": {"noise": 3}},
        {"microscope": "good"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Laboratory.model_validate(wrong)
