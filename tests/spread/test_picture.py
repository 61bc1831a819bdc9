from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from tests.drawn_spreads import drawn, write_spread
from tests.hostile import BROKEN, FILES, HARMLESS, STRANGERS

from supcam.core import large
from supcam.core.config import ImageConfig
from supcam.core.types import Box, ImageError, PixelSize, Polarity
from supcam.spread import picture as module
from supcam.spread.picture import LargePicture, SmallPicture, open_picture, preview

CONFIG = ImageConfig()
PART = Box(100, 50, 220, 300)


@pytest.mark.parametrize("name", ["p.tif", "p.png"])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_large_picture_shows_what_a_small_one_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, depth: int
) -> None:
    grey = drawn(0).grey if depth == 8 else drawn(0).grey.astype(np.uint16) * np.uint16(256)
    if name == "p.tif":
        tifffile.imwrite(tmp_path / name, grey, tile=(64, 64))
    else:
        assert cv2.imwrite(str(tmp_path / name), grey)
    with open_picture(tmp_path / name, config=CONFIG) as small:
        assert isinstance(small, SmallPicture)
        assert small.size == grey.shape
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(module, "INTEGER_PIXELS", 1000)
    with open_picture(tmp_path / name, config=CONFIG) as picture:
        assert isinstance(picture, LargePicture)
        assert (picture.size, picture.polarity) == (small.size, small.polarity)
        np.testing.assert_allclose(picture.stain(PART), small.stain(PART), atol=0.01)
        inner = Box(120, 60, 130, 70)
        np.testing.assert_allclose(picture.stain(inner), small.stain(inner), atol=0.01)
        assert np.abs(picture.grey(PART).astype(int) - small.grey(PART)).max() <= 1


def test_what_cannot_be_held_as_integers_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = drawn(0).grey
    path = tmp_path / "p.png"
    assert cv2.imwrite(str(path), np.dstack([grey, grey, grey, np.full_like(grey, 255)]))
    monkeypatch.setattr(module, "INTEGER_PIXELS", 1000)
    with open_picture(path, config=CONFIG) as picture:
        assert isinstance(picture, SmallPicture)
        np.testing.assert_array_equal(picture.pixels, grey)
    monkeypatch.setattr(module, "LARGE_PIXELS", 1000)
    with pytest.raises(ImageError, match=r"p\.png.*transparency"), open_picture(path, config=CONFIG):
        pass


def test_arrays_are_pictures_too() -> None:
    with open_picture(drawn(0, polarity=Polarity.FLUORESCENCE).grey, config=CONFIG) as picture:
        assert picture.polarity is Polarity.FLUORESCENCE
        assert picture.grey(Box(0, 0, 5, 7)).shape == (5, 7)


def test_large_pictures_are_shown_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 10)
    with open_picture(drawn(0).grey, config=CONFIG) as picture:
        whole, scale = preview(picture)
        assert scale == 1
        np.testing.assert_array_equal(whole, drawn(0).grey)
        monkeypatch.setattr(module, "PREVIEW_PX", 100)
        small, scale = preview(picture)
    assert (small.shape, scale) == ((90, 100), 0.25)
    assert np.abs(small.astype(int) - cv2.resize(whole, (100, 90), interpolation=cv2.INTER_AREA)).max() <= 1


def test_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_spread(tmp_path / "p.png")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match=r"p\.png"), open_picture(path, config=CONFIG):
        pass
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)
    tifffile.imwrite(tmp_path / "f.tif", drawn(0).grey.astype(np.float32))
    with (
        pytest.raises(ImageError, match=r"f\.tif.*8- or 16-bit"),
        open_picture(tmp_path / "f.tif", config=CONFIG),
    ):
        pass


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_are_errors_and_disguised_pictures_are_read(tmp_path: Path, name: str) -> None:
    """Bombs, broken headers, endless links; whatever is wrong with them, it is told in one way."""
    path = tmp_path / f"{name}.png"
    path.write_bytes(FILES[name]())
    if name in HARMLESS:
        with open_picture(path, config=CONFIG) as picture:
            assert picture.size == (90, 90)
        return
    assert name in STRANGERS or name in BROKEN
    with pytest.raises(ImageError) as told, open_picture(path, config=CONFIG):
        pass
    assert len(str(told.value)) < 500


def test_pixel_size_and_plane_come_with_small_and_large_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.ome.tif"
    stack = np.stack([np.full_like(drawn(0).grey, 200), drawn(0).grey])
    sides = {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "CYX", **sides})
    config = ImageConfig(page=1)
    with open_picture(path, config=config) as small:
        assert isinstance(small, SmallPicture)
        assert small.pixel_size == PixelSize(0.1, height_um=0.2, said_by="OME-XML")
        assert small.notes == ("page 2 of 2 was read (channel 2 of 2)",)
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)
    with open_picture(path, config=config) as picture:
        assert isinstance(picture, LargePicture)
        assert (picture.pixel_size, picture.notes) == (small.pixel_size, small.notes)
