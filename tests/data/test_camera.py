from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from supcam.core.types import Polarity
from supcam.data.camera import Camera, expose, slow_waves, soft_noise, to_8_bit, to_16_bit

STILL = Camera(background=0.8, unevenness=0, noise=0)
DAPI = Camera(polarity=Polarity.FLUORESCENCE, background=0.05, gain=0.7, unevenness=0, noise=0)


def exposed(stain: np.ndarray, camera: Camera, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return expose(stain.astype(np.float32), camera=camera, width_px=16.0, rng=rng)


def ramp() -> np.ndarray:
    return np.tile(np.linspace(0, 1.2, 61, dtype=np.float32), (9, 1))


def square() -> np.ndarray:
    stain = np.zeros((160, 160), np.float32)
    stain[60:100, 60:100] = 0.5
    return stain


def test_bright_field_follows_the_law_of_absorption() -> None:
    light = exposed(ramp(), STILL)
    assert light == pytest.approx(0.8 * 10 ** -ramp().astype(float), abs=1e-5)


def test_fluorescence_is_proportional_to_stain_until_it_saturates() -> None:
    assert exposed(ramp(), DAPI) == pytest.approx(0.05 + 0.7 * ramp().astype(float), abs=1e-5)
    assert exposed(2 * ramp(), DAPI).max() == 1.0


def test_background_above_full_scale_is_plain_white() -> None:
    light = exposed(square(), Camera(background=1.05, unevenness=0.02, noise=0.004))
    assert (light[:40] == 1).all()
    assert light[80, 80] < 0.5


def test_light_is_uneven_by_the_share_that_is_asked_for() -> None:
    empty = np.zeros((700, 900), np.float32)
    light = exposed(empty, STILL.model_copy(update={"unevenness": 0.1}))
    assert 0.02 < np.abs(light / 0.8 - 1).max() < 0.15


def test_noise_has_the_strength_that_is_asked_for() -> None:
    light = exposed(np.zeros((200, 200)), STILL.model_copy(update={"noise": 0.01}))
    assert light.std() == pytest.approx(0.01, rel=0.1)
    assert soft_noise(np.random.default_rng(0), shape=(300, 300)).std() == pytest.approx(1, rel=0.1)


def test_ground_stains_but_stays_far_below_a_chromosome() -> None:
    light = exposed(np.zeros((400, 400)), STILL.model_copy(update={"ground": 0.04}))
    density = np.log10(0.8 / light)
    assert 0.01 < density.max() <= 0.0401
    assert density.min() >= -1e-6


def test_specks_are_as_many_as_asked_for_and_too_small_for_objects() -> None:
    light = exposed(np.zeros((500, 500)), STILL.model_copy(update={"specks": 400}))
    dark = (light < 0.8 * 10**-0.05).astype(np.uint8)
    n, _, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    assert 20 <= n - 1 <= 100
    assert np.median(stats[1:, cv2.CC_STAT_AREA]) < 25


def test_sharpening_leaves_a_halo_and_glow_lights_the_surroundings() -> None:
    plain = exposed(square(), STILL)
    sharpened = exposed(square(), STILL.model_copy(update={"sharpening": 1.0}))
    assert sharpened[58, 80] > plain[58, 80] + 0.02
    dark, glowing = (
        exposed(square(), DAPI.model_copy(update={"glow": share}))[45, 80] for share in (0.0, 0.3)
    )
    assert glowing > dark + 0.01


def test_grey_levels_fill_8_and_16_bits() -> None:
    light = exposed(ramp(), STILL)
    grey, deep = to_8_bit(light, camera=STILL), to_16_bit(light)
    assert (grey.dtype.name, deep.dtype.name) == ("uint8", "uint16")
    assert grey[0, 0] == 204
    assert deep[0, 0] == pytest.approx(0.8 * 65535, abs=1)
    assert np.abs(deep / 257 - grey).max() <= 0.51


def test_jpeg_leaves_traces_in_8_bits_only() -> None:
    coarse = STILL.model_copy(update={"jpeg_quality": 70})
    light = exposed(square(), coarse)
    changed = to_8_bit(light, camera=coarse).astype(int) - to_8_bit(light, camera=STILL)
    assert 0 < np.abs(changed).max() < 40


def test_waves_are_slow_and_a_small_picture_sees_but_a_part_of_them() -> None:
    wide, small = (slow_waves(np.random.default_rng(1), shape=shape) for shape in ((700, 700), (70, 70)))
    assert np.abs(np.diff(wide, axis=0)).max() < 0.02
    assert np.ptp(small) < 0.2 * np.ptp(wide)


def test_same_seed_is_the_same_picture() -> None:
    camera = Camera(ground=0.03, specks=200, noise=0.01)
    assert np.array_equal(exposed(square(), camera, seed=4), exposed(square(), camera, seed=4))
    assert not np.array_equal(exposed(square(), camera, seed=4), exposed(square(), camera, seed=5))


@pytest.mark.parametrize(
    "wrong", [{"background": 0}, {"noise": 0.5}, {"jpeg_quality": 101}, {"polarity": "x"}, {"lens": 1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Camera.model_validate(wrong)
