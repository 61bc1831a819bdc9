"""Files of microscope vendors: planes as pages, limits before pixels, plugins that are missing or stumble."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from tests.lif_files import lif

from supcam.core.config import ImageConfig
from supcam.core.image import read_grey
from supcam.core.types import ImageError, PixelSize
from supcam.core.vendor import VENDORS, Vendor

ND2 = b"\xda\xce\xbe\x0a" + bytes(60)
CZI = b"ZISRAWFILE" + bytes(60)
RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 4000, (3, 2, 24, 30)).astype(np.uint16)
"""Slices, channels, rows, columns."""
FINE = SimpleNamespace(Z=1.0, Y=0.2, X=0.1)
ONE = RNG.integers(0, 4000, (1, 1, 20, 26)).astype(np.uint16)


@dataclass
class Delayed:
    """A dask array."""

    samples: np.ndarray

    def compute(self, *, scheduler: str) -> np.ndarray:
        assert scheduler == "synchronous"
        return self.samples


@dataclass
class FakeReader:
    """A reader of bioio with scenes of given axes and pixels; ``asked`` tells what was decoded."""

    arrays: list[tuple[str, np.ndarray]]
    size: Any = field(default_factory=lambda: FINE)
    scene: int = 0
    asked: list[dict[str, int]] = field(default_factory=list)

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(f"scene {index}" for index in range(len(self.arrays)))

    def set_scene(self, scene_id: int) -> None:
        self.scene = scene_id

    @property
    def dims(self) -> SimpleNamespace:
        order, samples = self.arrays[self.scene]
        return SimpleNamespace(order=order, shape=samples.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.arrays[self.scene][1].dtype

    @property
    def physical_pixel_sizes(self) -> Any:  # noqa: ANN401
        if self.size is None:
            raise ValueError("no scale")
        return self.size

    def get_image_data(self, dimension_order_out: str, **at: int) -> np.ndarray:
        order, samples = self.arrays[self.scene]
        self.asked.append(at)
        chosen = samples[tuple(at.get(axis, 0) if axis not in "YXS" else slice(None) for axis in order)]
        kept = [axis for axis in order if axis in "YXS"]
        return chosen.transpose([kept.index(axis) for axis in dimension_order_out])

    def get_image_dask_data(self, dimension_order_out: str, **at: int) -> Delayed:
        return Delayed(self.get_image_data(dimension_order_out, **at))


Fake = Callable[..., FakeReader]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Makes plugins that give what they are told, whatever the file holds."""

    def make(*arrays: tuple[str, np.ndarray], **options: Any) -> FakeReader:  # noqa: ANN401
        reader = FakeReader(list(arrays), **options)
        for vendor in VENDORS:
            module = ModuleType(vendor.plugin)
            module.Reader = lambda _path, **_options: reader  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, vendor.plugin, module)
        return reader

    return make


def written(folder: Path, content: bytes = ND2) -> Path:
    path = folder / "a.png"  # the name does not matter
    path.write_bytes(content)
    return path


def read(path: Path, **config: Any) -> Any:  # noqa: ANN401
    return read_grey(path, config=ImageConfig(**config))


# Real plugins -----------------------------------------------------------------------------------------------


def test_a_lif_file_by_its_plugin(tmp_path: Path) -> None:
    pytest.importorskip("bioio_lif", reason='bioio-lif is not installed: pip install "supcam[microscopes]"')
    content = lif({"spread": STACK, "other": ONE})
    path = written(tmp_path, content)
    grey = read(path)
    np.testing.assert_array_equal(grey.pixels, STACK[0, 0])
    assert grey.pixel_size.width_um == pytest.approx(0.1)
    assert grey.pixel_size.height_um == pytest.approx(0.2)
    assert grey.pixel_size.said_by == "LIF"
    assert (grey.n_pages, grey.white, grey.bit_depth) == (7, 4095, 16)
    assert grey.sha256 == hashlib.sha256(content).hexdigest()
    third = read(path, page=3)
    np.testing.assert_array_equal(third.pixels, STACK[1, 1])
    assert third.notes == ("page 4 of 7 was read (scene 1 of 2, channel 2 of 2, slice 2 of 3)",)
    np.testing.assert_array_equal(read(path, page=6).pixels, ONE[0, 0])
    for kept in (len(content) // 3, len(content) - 100):
        with pytest.raises(ImageError, match="LIF file"):
            read(written(tmp_path, content[:kept]), page=6)


def test_a_czi_file_by_its_plugin(tmp_path: Path) -> None:
    pytest.importorskip("bioio_czi", reason="bioio-czi is not installed: pip install bioio-czi")
    writer = pytest.importorskip("pylibCZIrw.czi", reason="pylibCZIrw is not installed")
    path, colours = tmp_path / "a.czi", tmp_path / "b.czi"
    with writer.create_czi(str(path)) as file:
        for channel in range(2):
            for time in range(3):
                place = {"C": channel, "T": time, "Z": 0}
                file.write(data=STACK[time, channel][..., None], plane=place, scene=0)
        file.write_metadata("a", scale_x=1e-7, scale_y=2e-7)
    grey = read(path, page=3)
    np.testing.assert_array_equal(grey.pixels, STACK[1, 1])
    assert grey.notes == ("page 4 of 6 was read (channel 2 of 2, time point 2 of 3)",)
    assert (grey.pixel_size.width_um, grey.pixel_size.height_um) == pytest.approx((0.1, 0.2))
    assert grey.pixel_size.said_by == "CZI"
    blue = np.zeros((20, 26, 3), np.uint8)
    blue[..., 0] = 200
    with writer.create_czi(str(colours)) as file:
        file.write(data=blue, plane={"C": 0, "T": 0, "Z": 0})
    assert set(np.unique(read(colours).pixels)) == {float(cv2.cvtColor(blue, cv2.COLOR_BGR2GRAY)[0, 0])}


# Plugins that tests make ------------------------------------------------------------------------------------


def test_every_plane_is_a_page(fake: Fake, tmp_path: Path) -> None:
    """Channels change fastest, then slices, time points, tiles and scenes."""
    scenes = [RNG.integers(0, 255, (2, 2, 2, 2, 9, 8)).astype(np.uint8) for _ in range(2)]
    reader = fake(("MTZCYX", scenes[0]), ("TMCZYX", scenes[1]))
    path = written(tmp_path)
    for page in (0, 1, 2, 5, 15, 18):
        scene, rest = divmod(page, 16)
        c, z, t, m = (rest >> bit & 1 for bit in range(4))
        place = (m, t, z, c) if scene == 0 else (t, m, c, z)
        np.testing.assert_array_equal(read(path, page=page).pixels, scenes[scene][place])
    told = "scene 2 of 2, channel 1 of 2, slice 2 of 2, time point 1 of 2, tile 1 of 2"
    assert read(path, page=18).notes == (f"page 19 of 32 was read ({told})",)
    assert len(reader.asked) == 7
    with pytest.raises(ImageError, match=r"found 32 pages.*page 32"):
        read(path, page=32)


def test_a_single_plane_needs_no_words(fake: Fake, tmp_path: Path) -> None:
    fake(("TCZYX", ONE[None]))
    grey = read(written(tmp_path))
    assert (grey.notes, grey.n_pages) == ((), 1)
    assert grey.pixel_size == PixelSize(0.1, height_um=0.2, said_by="ND2")


@pytest.mark.parametrize(
    "size",
    [
        None,
        SimpleNamespace(Y=1.0, X=1.0),
        SimpleNamespace(Y=None, X=None),
        SimpleNamespace(Y=0.0, X=float("nan")),
    ],
)
def test_a_size_that_is_not_said_is_unknown(fake: Fake, tmp_path: Path, size: object) -> None:
    fake(("YX", ONE[0, 0]), size=size)
    assert read(written(tmp_path)).pixel_size is None


@pytest.mark.parametrize(("content", "blue"), [(ND2, 2), (CZI, 0)])
def test_colours_come_red_first_whatever_the_plugin_gives(
    fake: Fake, tmp_path: Path, content: bytes, blue: int
) -> None:
    coloured = np.zeros((9, 8, 3), np.uint8)
    coloured[..., blue] = 200
    coloured[0, 0] = 255
    fake(("YXS", coloured))
    assert read(written(tmp_path, content)).pixels[1, 1] == 23  # 0.114 of blue


def test_limits_are_checked_before_a_pixel_is_decoded(fake: Fake, tmp_path: Path) -> None:
    wide = np.broadcast_to(np.uint8(1), (1, 60_000, 50_000))
    reader = fake(("CYX", wide))
    with pytest.raises(ImageError, match="megapixels"):
        read(written(tmp_path))
    with pytest.raises(ImageError, match=r"at most 50 bytes"):
        read(written(tmp_path), max_bytes=50)
    assert not reader.asked


@pytest.mark.parametrize(
    ("order", "samples", "reason"),
    [
        ("AYX", np.zeros((2, 9, 8), np.uint8), "axes"),
        ("CX", np.zeros((2, 9), np.uint8), "axes"),
        ("YX", np.zeros((0, 8), np.uint8), "axes"),
        ("YX", np.zeros((9, 8), np.complex64), "complex64"),
        ("YXS", np.zeros((9, 8, 5), np.uint8), "5 samples"),
        ("YX", np.full((9, 8), np.nan, np.float32), "not finite"),
    ],
)
def test_what_is_no_picture_is_refused(
    fake: Fake, tmp_path: Path, order: str, samples: np.ndarray, reason: str
) -> None:
    fake((order, samples))
    with pytest.raises(ImageError, match=reason) as told:
        read(written(tmp_path))
    assert "a.png" in str(told.value)


def test_pixels_that_are_not_what_was_promised(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = fake(("YX", ONE[0, 0]))
    monkeypatch.setattr(reader, "get_image_data", lambda *_, **__: ONE[0, 0][:5])
    with pytest.raises(ImageError, match="promised"):
        read(written(tmp_path))
    monkeypatch.setattr(reader, "get_image_data", lambda *_, **__: 1 // 0)
    with pytest.raises(ImageError, match=r"bioio-nd2 cannot read \(ZeroDivisionError"):
        read(written(tmp_path))


def test_no_scene_is_no_picture(fake: Fake, tmp_path: Path) -> None:
    fake()
    with pytest.raises(ImageError, match="0 pages"):
        read(written(tmp_path))


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_without_the_plugin_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> None:
    monkeypatch.setitem(sys.modules, vendor.plugin, None)
    with pytest.raises(ImageError) as told:
        read(written(tmp_path, vendor.start + bytes(60)))
    assert vendor.kind in str(told.value)
    assert f"pip install {vendor.install}" in str(told.value)
    monkeypatch.setitem(sys.modules, vendor.plugin, ModuleType(vendor.plugin))
    with pytest.raises(ImageError, match="fails"):
        read(written(tmp_path, vendor.start + bytes(60)))
