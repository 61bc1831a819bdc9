from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.drawn_spreads import drawn

from supcam.core import large
from supcam.core.config import ImageConfig
from supcam.core.decoding import Decoded
from supcam.core.image import Stored, grey_from_array, to_stain
from supcam.core.large import StoredRows, find_scale, tiff_rows
from supcam.core.types import ImageError, Polarity

CONFIG = ImageConfig()


def rows_of(samples: np.ndarray) -> StoredRows:
    return StoredRows(Stored(Decoded(samples, bit_depth=8), sha256="", where="p.png"))


@pytest.mark.parametrize("polarity", list(Polarity))
@pytest.mark.parametrize("factor", [1, 16, 257])
def test_stain_is_that_of_small_pictures(polarity: Polarity, factor: int) -> None:
    grey = drawn(0, polarity=polarity).grey
    samples = grey if factor == 1 else grey.astype(np.uint16) * np.uint16(factor)
    scale = find_scale(rows_of(samples), config=CONFIG)
    assert scale.polarity is polarity
    expected = to_stain(grey_from_array(samples))
    np.testing.assert_allclose(scale.stain(samples), expected, atol=0.02 * float(expected.max()))
    assert (int(samples.max()) >> scale.shift) in range(100, 256)


def test_polarity_can_be_set() -> None:
    config = ImageConfig(polarity=Polarity.FLUORESCENCE)
    assert find_scale(rows_of(drawn(0).grey), config=config).polarity is Polarity.FLUORESCENCE


def test_colour_is_luminance_and_other_kinds_are_refused() -> None:
    grey = drawn(0).grey
    np.testing.assert_array_equal(rows_of(np.stack([grey] * 3, axis=-1)).rows(3, 9), grey[3:9])
    np.testing.assert_array_equal(rows_of(grey[..., None]).rows(3, 9), grey[3:9])
    for samples in (grey.astype(np.float32), np.stack([grey] * 4, axis=-1)):
        with pytest.raises(ImageError, match="8- or 16-bit"):
            rows_of(samples)


def test_a_blank_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="blank"):
        find_scale(rows_of(np.full((50, 60), 200, np.uint8)), config=CONFIG)


def test_only_large_tiff_pages_are_read_in_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = drawn(0).grey
    tifffile.imwrite(tmp_path / "p.tif", grey)
    (tmp_path / "p.txt").write_text("no picture")
    for name in ("p.tif", "p.txt", "none.tif"):
        with tiff_rows(tmp_path / name, config=CONFIG) as rows:
            assert rows is None
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)
    with tiff_rows(tmp_path / "p.tif", config=CONFIG) as rows:
        assert rows is not None
        np.testing.assert_array_equal(rows.rows(5, 50), grey[5:50])
    with (
        pytest.raises(ImageError, match="bytes"),
        tiff_rows(tmp_path / "p.tif", config=ImageConfig(max_bytes=100)),
    ):
        pass
