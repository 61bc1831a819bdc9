"""File to grey to stain: ranges, colours, background, polarity, whitened crops, bad input, real pictures."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from supcam.core.config import ImageConfig
from supcam.core.image import GreyImage, grey_from_array, outside_mask, read_grey, to_stain
from supcam.core.polarity import find_polarity
from supcam.core.types import ImageError, Polarity

BRIGHT_FIELD = ImageConfig(polarity=Polarity.BRIGHT_FIELD)
FLUORESCENCE = ImageConfig(polarity=Polarity.FLUORESCENCE)


def scan(
    rng: np.random.Generator, *, background: float = 231, shape: tuple[int, int] = (80, 100)
) -> np.ndarray:
    """A bright-field scan in units of 8 bits, not rounded: two bodies of optical density 0.3 and 0.5."""
    density = np.zeros(shape)
    density[20:30, 15:70] = 0.3
    density[45:56, 30:60] = 0.5
    picture = background * 10 ** -cv2.GaussianBlur(density, (0, 0), 1)
    noisy: np.ndarray = picture + rng.normal(scale=1.5, size=shape)
    return noisy


def as_8_bit(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


# ---- grey


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64])
def test_grey_values_stay_in_their_own_units(dtype: type) -> None:
    array: np.ndarray = np.array([[3, 250], [90, 17]], dtype=dtype)
    grey = grey_from_array(array)
    np.testing.assert_array_equal(grey.pixels, array)
    assert grey.pixels.dtype == np.float32
    assert grey.bit_depth == 8 * array.dtype.itemsize


@pytest.mark.parametrize(
    ("highest", "dtype", "white"),
    [
        (7, np.uint8, 255),
        (255, np.uint16, 255),
        (256, np.uint16, 1023),
        (4095, np.uint16, 4095),
        (4096, np.uint16, 16383),
        (65535, np.uint16, 65535),
        (65536, np.uint32, 2**32 - 1),
        (32767, np.int16, 65535),
    ],
)
def test_white_is_the_largest_value_of_the_bits_in_use(highest: int, dtype: type, white: int) -> None:
    assert grey_from_array(np.array([[0, highest]], dtype=dtype)).white == white


def test_white_of_floats_ignores_glints() -> None:
    array = np.full((100, 100), 0.8, np.float32)
    array[0, :5] = 1e6
    assert grey_from_array(array).white == pytest.approx(0.8)


def test_booleans_are_black_and_white() -> None:
    grey = grey_from_array(np.array([[True, False]]))
    assert grey.pixels.tolist() == [[255.0, 0.0]]
    assert (grey.bit_depth, grey.white) == (1, 255.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colour_becomes_luminance(dtype: type, rng: np.random.Generator) -> None:
    array: np.ndarray = rng.integers(0, 256, (12, 9, 3)).astype(dtype)
    expected = 0.299 * array[..., 0] + 0.587 * array[..., 1] + 0.114 * array[..., 2]
    np.testing.assert_allclose(grey_from_array(array).pixels, expected, atol=0.51)


def test_equal_channels_are_the_grey_itself(rng: np.random.Generator) -> None:
    grey = rng.integers(0, 256, (12, 9), np.uint8)
    np.testing.assert_array_equal(grey_from_array(np.dstack([grey] * 3)).pixels, grey)


def test_transparent_pixels_are_background() -> None:
    array = np.array([[[10, 0], [10, 255], [100, 51]]], np.uint8)
    assert grey_from_array(array).pixels[0].tolist() == pytest.approx([255, 10, 0.2 * 100 + 0.8 * 255])
    assert grey_from_array(array, config=FLUORESCENCE).pixels[0].tolist() == pytest.approx([0, 10, 20])
    assert grey_from_array(array).notes == ("transparent pixels were taken for background",)


def test_transparency_in_colour_and_16_bits() -> None:
    array = np.array([[[9, 9, 9, 0], [4000, 4000, 4000, 65535]]], np.uint16)
    assert grey_from_array(array).pixels[0].tolist() == [4095, 4000]


def test_argument_is_not_written_to(rng: np.random.Generator) -> None:
    array = scan(rng).astype(np.float32)
    before = array.copy()
    image = grey_from_array(array)
    to_stain(image)
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(image.pixels, before)
    assert not np.shares_memory(image.pixels, array)


@pytest.mark.parametrize("shape", [(), (5,), (0, 4), (4, 0), (4, 4, 0), (2, 3, 4, 3)])
def test_array_of_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="an array of shape"):
        grey_from_array(np.zeros(shape, np.uint8))


def test_array_of_too_many_channels_is_refused() -> None:
    with pytest.raises(ImageError, match=r"shape \(4, 4, 5\)"):
        grey_from_array(np.zeros((4, 4, 5), np.uint8))


def test_array_of_no_numbers_is_refused() -> None:
    for array in (np.zeros((3, 3), complex), np.full((3, 3), "a")):
        with pytest.raises(ImageError, match="and type"):
            grey_from_array(array)


def test_array_larger_than_the_limit_is_refused() -> None:
    with pytest.raises(ImageError, match="raise max_megapixels"):
        grey_from_array(np.zeros((11, 100), np.uint8), config=ImageConfig(max_megapixels=0.001))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    array = np.ones((5, 5))
    array[2, 3] = value
    with pytest.raises(ImageError, match="not finite"):
        grey_from_array(array)


# ---- polarity


def test_ambiguous_polarity_asks_and_an_explicit_one_helps(rng: np.random.Generator) -> None:
    picture = np.full((60, 60), 128, np.uint8)
    picture[10:20, 10:50] = 28
    picture[40:50, 10:50] = 228
    image = GreyImage(pixels=picture.astype(np.float32), white=255.0, where="there.png")
    with pytest.raises(ImageError, match=r"there.png: .*set polarity to bright_field or fluorescence"):
        to_stain(image)
    assert to_stain(image, config=BRIGHT_FIELD)[15, 15] == pytest.approx(math.log10(128 / 28))
    assert to_stain(image, config=FLUORESCENCE)[45, 15] == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_blank_picture_is_read_but_has_no_stain(value: int) -> None:
    image = grey_from_array(np.full((40, 50), value, np.uint8))
    with pytest.raises(ImageError, match="a blank picture"):
        find_polarity(image.pixels, white=image.white)
    for config in (ImageConfig(), BRIGHT_FIELD, FLUORESCENCE):
        with pytest.raises(ImageError, match="a blank picture"):
            to_stain(image, config=config)


def test_noise_of_one_level_is_blank(rng: np.random.Generator) -> None:
    with pytest.raises(ImageError, match="a blank picture"):
        to_stain(grey_from_array(rng.integers(254, 256, (40, 50), np.uint8)))


# ---- stain


def test_optical_density_is_what_the_formula_says(rng: np.random.Generator) -> None:
    picture = as_8_bit(scan(rng))
    counts = [int((picture == level).sum()) for level in range(256)]
    around = [sum(counts[max(0, k - 2) : k + 3]) for k in range(256)]
    i0 = max(range(256), key=lambda k: (around[k], counts[k]))
    expected = np.maximum(0, -np.log10(np.maximum(picture, 1) / i0))
    np.testing.assert_allclose(to_stain(grey_from_array(picture)), expected, atol=1e-6)


def test_stain_finds_the_density_that_was_drawn(rng: np.random.Generator) -> None:
    stain = to_stain(grey_from_array(as_8_bit(scan(rng))))
    assert np.median(stain[23:27, 20:65]) == pytest.approx(0.3, abs=0.02)
    assert np.median(stain[48:53, 33:57]) == pytest.approx(0.5, abs=0.02)
    assert np.median(stain[60:]) < 0.01
    assert stain.min() == 0
    assert stain.dtype == np.float32


def test_stain_does_not_depend_on_the_unit(rng: np.random.Generator) -> None:
    picture = scan(rng)
    reference = to_stain(grey_from_array(as_8_bit(picture)))
    for array in ((16 * picture).astype(np.uint16), (256 * picture).astype(np.uint16), picture / 255):
        np.testing.assert_allclose(to_stain(grey_from_array(array)), reference, atol=0.02)


def test_black_counts_as_one_grey_level() -> None:
    picture = np.full((30, 30), 200, np.uint8)
    picture[10:20, 10:20] = 0
    assert to_stain(grey_from_array(picture))[15, 15] == pytest.approx(math.log10(200))
    deep = picture.astype(np.uint16) * 257
    assert to_stain(grey_from_array(deep))[15, 15] == pytest.approx(math.log10(200))


def test_saturated_patch_is_not_the_background(rng: np.random.Generator) -> None:
    picture = scan(rng, background=225)
    picture[60:, 60:] = 255
    stain = to_stain(grey_from_array(as_8_bit(picture)))
    assert np.median(stain[48:53, 33:57]) == pytest.approx(0.5, abs=0.02)
    assert (stain[65:, 65:] == 0).all()


def test_fluorescence_is_a_share_of_the_robust_maximum(rng: np.random.Generator) -> None:
    picture = rng.normal(12, 1, (100, 100))
    picture[30:50, 20:80] = 112
    picture[70:80, 20:80] = 62
    picture[0, 0] = 255  # a hot pixel
    stain = to_stain(grey_from_array(as_8_bit(picture)))
    assert stain[40, 50] == pytest.approx(1.0, abs=0.03)
    assert stain[75, 50] == pytest.approx(0.5, abs=0.03)
    assert np.median(stain[85:]) < 0.02
    assert stain.min() == 0


def test_fluorescence_of_one_small_object_among_noise(rng: np.random.Generator) -> None:
    picture = rng.normal(20, 2, (300, 300))
    picture[100:106, 100:110] = 220
    stain = to_stain(grey_from_array(as_8_bit(picture)))
    assert stain[103, 105] == pytest.approx(1.0, abs=0.05)
    assert np.median(stain) < 0.02


def test_black_background_is_no_bright_field(rng: np.random.Generator) -> None:
    picture = np.zeros((50, 50), np.uint8)
    picture[20:30, 20:30] = 200
    with pytest.raises(ImageError, match="set polarity to fluorescence"):
        to_stain(grey_from_array(picture), config=BRIGHT_FIELD)


def test_negative_floats_are_fluorescence_with_the_background_taken_off(rng: np.random.Generator) -> None:
    picture = rng.normal(-3, 1, (100, 100)).astype(np.float32)
    picture[30:50, 20:80] = 97
    stain = to_stain(grey_from_array(picture))
    assert stain[40, 50] == pytest.approx(1.0, abs=0.02)
    assert np.median(stain[60:]) < 0.02


# ---- crops that were whitened out


def whitened(
    rng: np.random.Generator, *, background: float, rim_px: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """A crop cut out of a scan with a rim of ``rim_px``, white elsewhere; and where it is white."""
    picture = scan(rng, background=background)
    body = np.zeros(picture.shape, np.uint8)
    body[20:30, 15:70] = body[30:45, 40:50] = body[45:56, 30:60] = 1
    cut = cv2.dilate(body, np.ones((2 * rim_px + 1,) * 2, np.uint8)) == 0
    return np.where(cut, 255, np.minimum(as_8_bit(picture), 254)).astype(np.uint8), cut


@pytest.mark.parametrize("background", [180, 215, 240, 254])
def test_rim_of_a_whitened_crop_is_background(background: int, rng: np.random.Generator) -> None:
    picture, cut = whitened(rng, background=background)
    image = grey_from_array(picture)
    np.testing.assert_array_equal(outside_mask(image.pixels, white=image.white), cut)
    stain = to_stain(image)
    assert (stain[cut] == 0).all()
    rim = (cv2.dilate(cut.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~cut
    assert np.median(stain[rim]) < 0.02
    assert np.median(stain[48:53, 33:57]) == pytest.approx(0.5, abs=0.03)


def test_crop_on_white_throughout_is_measured_against_white(rng: np.random.Generator) -> None:
    """As in crops whose background was set to white at the foot of the object's blurred edge."""
    picture = np.minimum(scan(rng, background=252), 250)
    soft = np.where(cv2.GaussianBlur(picture, (0, 0), 2) > 245, 255, picture)
    stain = to_stain(grey_from_array(as_8_bit(soft)))
    assert np.median(stain[48:53, 33:57]) == pytest.approx(0.5, abs=0.02)


def test_whitened_16_bit_crop() -> None:
    picture = np.full((40, 40), 65535, np.uint16)
    picture[8:32, 8:32] = 48000
    picture[15:25, 15:25] = 24000
    stain = to_stain(grey_from_array(picture))
    assert stain[9, 9] == 0
    assert stain[20, 20] == pytest.approx(math.log10(2), abs=1e-5)


def test_white_hole_in_the_object_is_not_outside() -> None:
    picture = np.full((30, 30), 255, np.float32)
    picture[5:25, 5:25] = 100
    picture[10:20, 10:20] = 255
    outside = outside_mask(picture, white=255.0)
    assert outside[0, 0]
    assert not outside[15, 15]


def test_diagonal_gap_does_not_join_a_hole_to_the_outside() -> None:
    picture = np.full((9, 9), 255, np.float32)
    picture[2:7, 2:7] = 100
    picture[3, 3] = picture[2, 2] = 255
    assert not outside_mask(picture, white=255.0)[3, 3]


def test_object_at_the_border_does_not_spoil_the_mask() -> None:
    picture = np.full((50, 50), 255, np.float32)
    picture[20:30, :] = 90  # the body runs from side to side and parts the outside in two
    outside = outside_mask(picture, white=255.0)
    assert outside[:20].all()
    assert outside[30:].all()
    assert not outside[20:30].any()


def test_scan_has_no_outside_even_when_half_its_border_is_saturated(rng: np.random.Generator) -> None:
    picture = as_8_bit(scan(rng, background=240)).astype(np.float32)
    assert not outside_mask(picture, white=255.0).any()
    picture[:, 50:] = 255
    assert not outside_mask(picture, white=255.0).any()


def test_all_white_is_all_outside() -> None:
    assert outside_mask(np.full((3, 4), 255, np.float32), white=255.0).all()


# ---- files


def write_picture(path: Path) -> np.ndarray:
    picture = as_8_bit(scan(np.random.default_rng(5)))
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    path.write_bytes(data.getvalue())
    return picture


@pytest.mark.parametrize("name", ["a b.png", 'it\'s "so".tif', "two\nlines.jpg", "染色体 ø.bmp", "no_ending"])
def test_file_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    picture = write_picture(tmp_path / name)
    grey = read_grey(tmp_path / name)
    np.testing.assert_array_equal(grey.pixels, picture)
    assert grey.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert (grey.n_pages, grey.page, grey.notes, grey.where) == (1, 0, (), str(tmp_path / name))


def test_path_may_be_text(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(read_grey(str(tmp_path / "a.png")).pixels, picture)


def test_page_that_was_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for k in range(3):
            writer.write(np.full((5, 6), 10 * k, np.uint8), contiguous=False)
    grey = read_grey(path, config=ImageConfig(page=2))
    assert (grey.pixels == 20).all()
    assert (grey.n_pages, grey.page, grey.notes) == (3, 2, ("page 3 of 3 was read",))
    with pytest.raises(ImageError, match=r"stack.tif: found 3 pages; expected at least 4"):
        read_grey(path, config=ImageConfig(page=3))


def test_one_pixel_is_read_and_blank(tmp_path: Path) -> None:
    Image.new("L", (1, 1), 7).save(tmp_path / "one.png")
    grey = read_grey(tmp_path / "one.png")
    assert grey.pixels.tolist() == [[7]]
    with pytest.raises(ImageError, match=r"one.png: found a blank picture"):
        to_stain(grey)


def float_tiff(value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        picture = np.ones((4, 4), np.float32)
        picture[1, 1] = value
        tifffile.imwrite(path, picture)

    return write


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.png": (Path.touch, "an empty file"),
    "text.png": (lambda path: path.write_text("no picture"), "found text"),
    "folder.png": (Path.mkdir, "a folder"),
    "link.png": (lambda path: path.symlink_to("nowhere"), "a broken link"),
    "missing.png": (str, "no file"),
    "nan.tif": (float_tiff(math.nan), "not finite"),
    "inf.tif": (float_tiff(math.inf), "not finite"),
    "cut.tif": (lambda path: path.write_bytes(b"II*\0\x08\0\0\0"), "damaged or truncated TIFF"),
    "cut.png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0"), "damaged or truncated PNG"),
    "cut.jpg": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"), "damaged or truncated JPEG"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    make, found = BAD_FILES[name]
    make(tmp_path / name)
    with pytest.raises(ImageError, match=found) as caught:
        read_grey(tmp_path / name)
    error = caught.value
    assert error.where == str(tmp_path / name)
    assert error.found
    assert error.expected
    assert error.remedy


def test_limits_of_the_configuration_hold(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a.png: found a file of .* bytes"):
        read_grey(tmp_path / "a.png", config=ImageConfig(max_bytes=20))
    with pytest.raises(ImageError, match=r"a.png: found a declared size of 100 x 80"):
        read_grey(tmp_path / "a.png", config=ImageConfig(max_megapixels=0.007))


def test_lack_of_memory_is_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    with (
        mock.patch("supcam.core.decoding.samples_of", side_effect=MemoryError),
        pytest.raises(ImageError, match=r"a.png: found a picture that needs more memory"),
    ):
        read_grey(tmp_path / "a.png")


# ---- real pictures


def density_of_bodies(stain: np.ndarray) -> float:
    """The median stain above Otsu's threshold."""
    top = float(stain.max())
    levels = np.round(stain * (255 / top)).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(np.median(stain[levels > threshold]))


def read_stain(path: Path, *, polarity: Polarity, cut: bool) -> tuple[np.ndarray, np.ndarray]:
    grey = read_grey(path)
    assert find_polarity(grey.pixels, white=grey.white) == polarity, path
    outside = outside_mask(grey.pixels, white=grey.white)
    assert bool(outside.any()) == cut, path
    return to_stain(grey), outside


@pytest.mark.parametrize("places", ["cci/case*/*/*.TIF", "tseng24/crops/*.png"])
def test_real_crops_are_white_outside_and_their_rim_is_background(real_data: Path, places: str) -> None:
    paths = sorted(real_data.glob(places))[::6]
    assert len(paths) > 15
    for path in paths:
        stain, outside = read_stain(path, polarity=Polarity.BRIGHT_FIELD, cut=True)
        rim = (cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~outside
        assert np.median(stain[rim]) < 0.06, path
        assert 0.1 < density_of_bodies(stain) < 0.8, path


def test_real_metaphases_are_scans_with_a_background_near_zero(real_data: Path) -> None:
    paths = sorted((real_data / "tseng24" / "images").glob("*.jpg"))[::40]
    assert len(paths) > 5
    for path in paths:
        stain, _ = read_stain(path, polarity=Polarity.BRIGHT_FIELD, cut=False)
        assert np.median(stain) < 0.08, path


def test_real_fluorescence_is_bright_on_a_background_near_zero(real_data: Path) -> None:
    paths = sorted((real_data / "adir").glob("*_dapi.png"))[::10]
    assert len(paths) > 4
    for path in paths:
        stain, _ = read_stain(path, polarity=Polarity.FLUORESCENCE, cut=False)
        assert np.median(stain) < 0.06, path
        assert 0.2 < density_of_bodies(stain) < 0.9, path


def test_real_rims_agree_with_the_scan_that_the_crop_came_from(real_data: Path) -> None:
    """The stain of a crop's body is that of the same pixels in its metaphase, up to the uneven background."""
    crops = sorted((real_data / "tseng24" / "crops").glob("*.png"))[::40]
    assert crops
    for path in crops:
        crop = read_grey(path)
        inside = ~outside_mask(crop.pixels, white=crop.white)
        metaphase = read_grey(path.parent.parent / "images" / f"{path.stem.rsplit('_', 1)[0]}.jpg")
        misfit = cv2.matchTemplate(
            metaphase.pixels, crop.pixels, cv2.TM_SQDIFF, mask=inside.astype(np.float32)
        )
        top, left = np.unravel_index(int(misfit.argmin()), misfit.shape)
        height, width = crop.pixels.shape
        there = to_stain(metaphase)[top : top + height, left : left + width]
        assert np.median(to_stain(crop)[inside] - there[inside]) == pytest.approx(0, abs=0.03), path
