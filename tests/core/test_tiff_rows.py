from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from supcam.core.tiff_rows import TiffRows, tiff_size
from supcam.core.types import ImageError

SIZE = (133, 117)


def picture(depth: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.random(SIZE, dtype=np.float32), (0, 0), 4)
    share = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.asarray(share * (2**depth - 1), dtype=np.uint8 if depth == 8 else np.uint16)


def rows_of(path: Path) -> np.ndarray:
    with TiffRows(path, page=0, max_pixels=1e6) as file:
        assert file.shape == SIZE
        parts = [file.rows(0, 40), file.rows(40, 41), file.rows(41, SIZE[0])]
        assert all(part.dtype == file.dtype for part in parts)
    return np.concatenate(parts)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rowsperstrip": 7},
        {"byteorder": ">", "rowsperstrip": 10},
        {"tile": (32, 48)},
        {"bigtiff": True, "tile": (64, 64)},
        {"compression": "zlib", "rowsperstrip": 20},
        {"compression": "zlib", "tile": (32, 32), "predictor": True},
        {"compression": "zlib", "byteorder": ">", "rowsperstrip": 20},
    ],
    ids=str,
)
def test_rows_are_those_of_the_whole(tmp_path: Path, depth: int, settings: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "p.tif", picture(depth), **settings)
    np.testing.assert_array_equal(rows_of(tmp_path / "p.tif"), picture(depth))
    assert tiff_size(tmp_path / "p.tif", page=0) == SIZE


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate"])
def test_rows_of_other_compressions_are_those_that_pillow_reads(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "p.tif"
    Image.fromarray(picture()).save(path, compression=compression)
    np.testing.assert_array_equal(rows_of(path), np.array(Image.open(path)))


@pytest.mark.parametrize("compression", [None, "jpeg", "tiff_lzw"])
def test_colour_is_read_as_luminance(tmp_path: Path, compression: str | None) -> None:
    grey = picture()
    colour = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    path = tmp_path / "p.tif"
    Image.fromarray(colour).save(path, compression=compression)
    seen = np.array(Image.open(path).convert("RGB"))
    np.testing.assert_array_equal(rows_of(path), cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY))


def test_white_stored_as_zero_is_white(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", picture(16), photometric="miniswhite")
    np.testing.assert_array_equal(rows_of(tmp_path / "p.tif"), np.invert(picture(16)))


def test_a_file_that_was_cut_off_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, picture(), compression="zlib", rowsperstrip=20)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(ImageError, match="damaged or truncated"):
        rows_of(path)


def test_what_cannot_be_read_in_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, picture().astype(np.float32))
    with pytest.raises(ImageError, match="8- or 16-bit grey"):
        rows_of(path)
    tifffile.imwrite(path, picture())
    with pytest.raises(ImageError, match="megapixels"):
        TiffRows(path, page=0, max_pixels=1000)
    with pytest.raises(ImageError, match="1 page"):
        TiffRows(path, page=3, max_pixels=1e6)
    path.write_bytes(b"II*\0 and nothing more")
    for read in (lambda: TiffRows(path, page=0, max_pixels=1e6), lambda: tiff_size(path, page=0)):
        with pytest.raises(ImageError, match="damaged"):
            read()
