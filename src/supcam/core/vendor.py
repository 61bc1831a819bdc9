"""Files of microscope vendors (CZI, ND2, LIF) -> samples of one plane, by the plugins of bioio.

The plugins are no part of the base install; one is imported when a file of its kind is read. Every plane of a
file is a page: channels change fastest, then slices, time points, tiles of a mosaic, and scenes. A tile is a
picture as the camera took it; tiles are not joined.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from supcam.core.decoding import Decoded, Samples, check_page, check_size
from supcam.core.microscope import believable
from supcam.core.types import ImageError, PixelSize

_AXES = {"C": "channel", "Z": "slice", "T": "time point", "M": "tile"}
"""Axes along which the planes of a scene lie, the one that changes fastest first, as bioio calls them."""
_PLANE = ("Y", "X", "S")
_COLOURS = (3, 4)
_UNSAID_UM = 1.0
"""What readers give for a microscope that was not calibrated."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor's format: how its files begin, what they are, which plugin reads it, and what installs that.

    ``is_delayed``: asked for a plane, the plugin would read a whole scene, so that it is asked through dask.
    ``is_blue_first``: its colours come as blue, green and red.
    """

    name: str
    start: bytes
    kind: str
    plugin: str
    install: str
    is_delayed: bool = False
    is_blue_first: bool = False


VENDORS = (
    Vendor(
        "CZI",
        start=b"ZISRAWFILE",
        kind="a CZI file of a Zeiss microscope",
        plugin="bioio_czi",
        install="bioio-czi",  # by hand: its licence is the GPL
        is_blue_first=True,
    ),
    Vendor(
        "ND2",
        start=b"\xda\xce\xbe\x0a",
        kind="an ND2 file of a Nikon microscope",
        plugin="bioio_nd2",
        install='"supcam[microscopes]"',
    ),
    Vendor(
        "LIF",
        start=b"\x70\0\0\0",
        kind="a LIF file of a Leica microscope",
        plugin="bioio_lif",
        install='"supcam[microscopes]"',
        is_delayed=True,
    ),
)


class _Planes(Protocol):
    """A dask array, as far as it is used here."""

    def compute(self, *, scheduler: str) -> Samples: ...


class _Reader(Protocol):
    """A reader of bioio (``bioio_base.reader.Reader``), as far as it is used here."""

    scenes: Sequence[str]
    dims: Any
    dtype: np.dtype[np.generic]
    physical_pixel_sizes: Any

    def set_scene(self, scene_id: int) -> None: ...

    def get_image_data(self, dimension_order_out: str, **at: int) -> Samples: ...

    def get_image_dask_data(self, dimension_order_out: str, **at: int) -> _Planes: ...


def vendor_of(path: Path) -> Vendor | None:
    """The vendor whose files begin as the one at ``path`` does; ``None`` for any other or unreadable file."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(max(len(vendor.start) for vendor in VENDORS))
    except OSError:
        return None  # the ordinary reader says what is wrong
    return next((vendor for vendor in VENDORS if start.startswith(vendor.start)), None)


def read_plane(path: Path, *, vendor: Vendor, page: int, max_pixels: float) -> Decoded:
    """Plane ``page`` (from 0) of a vendor's file. What the file says of its size is checked first.

    Raises ``ImageError`` without the plugin, and for all that the plugin cannot read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks of the plugin and its packages concern no pixel
        reader_class = _reader_class(vendor)
        options = {"chunk_dims": ["Y", "X"]} if vendor.is_delayed else {}
        try:
            reader = reader_class(str(path.absolute()), **options)
            return _decode(reader, vendor=vendor, page=page, max_pixels=max_pixels)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # plugins raise whatever a damaged file makes them stumble over
            raise ImageError(
                f"{vendor.kind} that {_package(vendor)} cannot read ({type(error).__name__}: {error})",
                expected="a whole file of a kind that it knows",
                remedy="copy it again, or export the picture as OME-TIFF",
            ) from error


def _reader_class(vendor: Vendor) -> Any:  # noqa: ANN401  plugins are not there when types are checked
    try:
        return import_module(vendor.plugin).Reader
    except Exception as error:  # a package that is there may still not load on this machine
        is_missing = isinstance(error, ModuleNotFoundError)
        raise ImageError(
            f"{vendor.kind}, and {_package(vendor)} {'is missing' if is_missing else f'fails ({error})'}",
            expected="the plugin that reads it",
            remedy=f"pip install {vendor.install}, or export the picture as OME-TIFF",
        ) from error


def _package(vendor: Vendor) -> str:
    return vendor.plugin.replace("_", "-")


def _decode(reader: _Reader, *, vendor: Vendor, page: int, max_pixels: float) -> Decoded:
    scenes = [_sizes(reader, scene=scene) for scene in range(len(reader.scenes))]
    counts = [math.prod(sizes.get(axis, 1) for axis in _AXES) for sizes in scenes]
    check_page(page, n_pages=sum(counts))
    scene, index = 0, page
    while index >= counts[scene]:
        index -= counts[scene]
        scene += 1
    sizes, at = scenes[scene], {}
    for axis in _AXES:
        index, at[axis] = divmod(index, sizes.get(axis, 1))
    check_size(sizes["X"], sizes["Y"], max_pixels=max_pixels)
    reader.set_scene(scene)
    samples = _samples(reader, vendor=vendor, sizes=sizes, at=at)
    told = [f"scene {scene + 1} of {len(scenes)}"] if len(scenes) > 1 else []
    told += [f"{_AXES[axis]} {at[axis] + 1} of {sizes[axis]}" for axis in _AXES if sizes.get(axis, 1) > 1]
    return Decoded(
        samples,
        bit_depth=8 * samples.dtype.itemsize,
        n_pages=sum(counts),
        page=page,
        pixel_size=_pixel_size(reader, said_by=vendor.name),
        plane=", ".join(told),
    )


def _sizes(reader: _Reader, *, scene: int) -> dict[str, int]:
    """How long the axes of a scene are. Raises ``ValueError`` for axes that are not known here."""
    reader.set_scene(scene)
    sizes = {str(axis): int(n) for axis, n in zip(reader.dims.order, reader.dims.shape, strict=True)}
    unknown = [axis for axis, n in sizes.items() if n != 1 and axis not in (*_AXES, *_PLANE)]
    if unknown or min(sizes.values()) < 1 or not {"X", "Y"} <= sizes.keys():
        raise ValueError(f"axes {sizes}")
    return sizes


def _samples(reader: _Reader, *, vendor: Vendor, sizes: Mapping[str, int], at: Mapping[str, int]) -> Samples:
    """The plane ``at`` a place of the reader's scene, grey or in colours, red first."""
    n_colours = sizes.get("S", 1)
    kind = np.dtype(reader.dtype).kind
    if kind not in "uif" or (n_colours > 1 and n_colours not in _COLOURS):
        raise ValueError(f"{n_colours} samples of {reader.dtype} a pixel")
    order = "YXS" if n_colours > 1 else "YX"
    there = {axis: place for axis, place in at.items() if axis in sizes}
    if vendor.is_delayed:
        samples = np.asarray(reader.get_image_dask_data(order, **there).compute(scheduler="synchronous"))
    else:
        samples = np.asarray(reader.get_image_data(order, **there))
    expected = (sizes["Y"], sizes["X"], n_colours)[: len(order)]
    if samples.shape != expected:
        raise ValueError(f"pixels of shape {samples.shape} where {expected} were promised")
    if vendor.is_blue_first and n_colours > 1:
        samples = samples[..., [2, 1, 0, 3][:n_colours]]
    return np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("="))


def _pixel_size(reader: _Reader, *, said_by: str) -> PixelSize | None:
    """As the plugin tells it, in micrometres; unknown where it is not said or beyond belief."""
    try:
        said = reader.physical_pixel_sizes
        height, width = float(said.Y), float(said.X)
    except Exception:  # plugins raise whatever a file without it makes them stumble over
        return None
    if height == width == _UNSAID_UM:
        return None
    return believable(width, height, said_by=said_by)
