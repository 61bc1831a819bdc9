"""What a TIFF file says of the microscope: the size of its pixels, and the plane that a page holds.

Read from OME-XML, from what ImageJ writes, or from the tags of resolution. These are remarks beside the
pixels: what is missing, damaged or beyond belief leaves the size unknown and never refuses a picture.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tifffile import TiffFile, TiffPage

from supcam.core.safe_xml import local_name, parse_xml
from supcam.core.types import PixelSize

_UM = {
    "pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "in": 25_400.0, "inch": 25_400.0,
}  # fmt: skip
"""Micrometres of a unit of length. Micro is written by either of two signs."""
_BELIEVABLE_UM = (1e-3, 100.0)
_FINEST_SCANNER_UM = 1.0
"""A coarser resolution in tags alone is that of a scanner or a printer, not of a microscope."""
_TAG_UNITS = {2: "inch", 3: "cm"}
_MOST_PLANES = 10_000_000


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The size of a page's pixels, ``None`` where unknown; ``plane`` says in words which one it is."""

    pixel_size: PixelSize | None = None
    plane: str = ""


@dataclass(frozen=True, slots=True)
class _Plane:
    """Which plane of an image a page is, counted from 0, and how many there are: channel, slice, time."""

    at: tuple[int, int, int]
    of: tuple[int, int, int]

    def told(self) -> str:
        """The parts of which there are several."""
        words = ("channel", "slice", "time point")
        parts = zip(words, self.at, self.of, strict=True)
        return ", ".join(f"{word} {index + 1} of {n}" for word, index, n in parts if n > 1)


def page_facts(file: TiffFile, *, page: int) -> PageFacts:
    """What ``file`` says of its page ``page`` (from 0), which exists."""
    try:
        description = str(file.pages[0].aspage().description)
        leaf = file.pages[page].aspage()
        start = description.lstrip("\ufeff \r\n\t")
        if start.startswith("<") and description.rstrip("\0 \r\n\t").endswith("OME>"):
            return _ome_facts(start.rstrip("\0"), page=page)
        if start.startswith("ImageJ="):
            return _imagej_facts(start, leaf=leaf, page=page)
        return PageFacts(_tag_size(leaf))
    except Exception:  # a damaged remark makes tifffile stumble over anything; the pixels may be whole
        return PageFacts()


def um_of(value: float, *, unit: str) -> float:
    """A length in micrometres. Raises ``ValueError`` for a unit that is no length."""
    name = unit.strip().replace("\u03bc", "µ")  # the Greek letter and the sign look the same
    if name not in _UM:
        raise ValueError(f"the unit {name!r}")
    return value * _UM[name]


def believable(width_um: float, height_um: float, *, said_by: str) -> PixelSize | None:
    """The size, or ``None`` for one that no microscope has."""
    low, high = _BELIEVABLE_UM
    if not all(math.isfinite(side) and low <= side <= high for side in (width_um, height_um)):
        return None
    return PixelSize(width_um, height_um=height_um, said_by=said_by)


# OME-XML ----------------------------------------------------------------------------------------------------


def _ome_facts(text: str, *, page: int) -> PageFacts:
    root = parse_xml(text.encode(), root="OME")
    own = root.get("UUID", "")
    images = [image for image in root if local_name(image) == "Image"]
    for image in images:
        for pixels in (each for each in image if local_name(each) == "Pixels"):
            index = _index_of(page, pixels=pixels, own=own, is_only=len(images) == 1)
            if index is not None:
                plane = _plane_of(index, pixels=pixels)
                return PageFacts(_ome_size(pixels.attrib), plane=plane.told())
    return PageFacts()


def _index_of(page: int, *, pixels: ET.Element, own: str, is_only: bool) -> int | None:
    """Which plane of these pixels the page is, in the order of the file; ``None`` when it is not theirs."""
    n_planes = math.prod(_counts(pixels))
    blocks = [each for each in pixels if local_name(each) == "TiffData"]
    if not blocks:
        return page if is_only and page < n_planes else None
    for block in blocks:
        elsewhere = [part.text for part in block if local_name(part) == "UUID" and part.text != own]
        if elsewhere:
            continue
        first = int(block.get("IFD", "0"))
        n = int(block.get("PlaneCount", "1" if "IFD" in block.attrib else str(n_planes)))
        if first <= page < first + n:
            start = tuple(int(block.get(f"First{axis}", "0")) for axis in "CZT")
            return _linear((start[0], start[1], start[2]), pixels=pixels) + page - first
    return None


def _counts(pixels: ET.Element) -> tuple[int, int, int]:
    """Planes along channel, slice and time; the colours of an RGB channel share a plane."""
    shares = [int(each.get("SamplesPerPixel", "1")) for each in pixels if local_name(each) == "Channel"]
    n_colours = max(shares, default=1)
    n_channels = int(pixels.get("SizeC", "1")) // max(1, n_colours) or 1
    counts = (n_channels, int(pixels.get("SizeZ", "1")), int(pixels.get("SizeT", "1")))
    if min(counts) < 1 or math.prod(counts) > _MOST_PLANES:
        raise ValueError(f"planes {counts}")
    return counts


def _axes(pixels: ET.Element) -> Iterator[int]:
    """The axes channel (0), slice (1) and time (2), the one that changes fastest first."""
    order = pixels.get("DimensionOrder", "XYCZT")
    if sorted(order) != sorted("XYCZT"):
        raise ValueError(f"the order {order!r}")
    return ("CZT".index(axis) for axis in order if axis in "CZT")


def _linear(at: tuple[int, int, int], *, pixels: ET.Element) -> int:
    counts, index, step = _counts(pixels), 0, 1
    for axis in _axes(pixels):
        index += at[axis] * step
        step *= counts[axis]
    return index


def _plane_of(index: int, *, pixels: ET.Element) -> _Plane:
    counts, at = _counts(pixels), [0, 0, 0]
    for axis in _axes(pixels):
        at[axis] = index % counts[axis]
        index //= counts[axis]
    return _Plane((at[0], at[1], at[2]), of=counts)


def _ome_size(said: Mapping[str, str]) -> PixelSize | None:
    if "PhysicalSizeX" not in said:
        return None
    sides = []
    for axis in "XY":
        source = axis if f"PhysicalSize{axis}" in said else "X"
        unit = said.get(f"PhysicalSize{source}Unit", "µm")
        sides.append(um_of(float(said[f"PhysicalSize{source}"]), unit=unit))
    return believable(sides[0], sides[1], said_by="OME-XML")


# ImageJ and plain tags --------------------------------------------------------------------------------------


def _imagej_facts(text: str, *, leaf: TiffPage, page: int) -> PageFacts:
    """ImageJ counts pixels a unit in the tags of resolution, and names the unit and the axes in its text."""
    said = dict(re.findall(r"^(\w+)=(.*?)\s*$", text, flags=re.MULTILINE))
    counts = [int(said.get(axis, "1")) for axis in ("channels", "slices", "frames")]
    plane = ""
    if page < math.prod(counts):
        channel, rest = page % counts[0], page // counts[0]
        at = (channel, rest % counts[1], rest // counts[1])
        plane = _Plane(at, of=(counts[0], counts[1], counts[2])).told()
    unit = said.get("unit", "").replace("\\u00B5", "µ")
    sides = _pixels_a_unit(leaf)
    if sides is None or unit.replace("\u03bc", "µ") not in _UM:
        return PageFacts(plane=plane)
    size = believable(um_of(1 / sides[0], unit=unit), um_of(1 / sides[1], unit=unit), said_by="ImageJ")
    return PageFacts(size, plane=plane)


def _tag_size(leaf: TiffPage) -> PixelSize | None:
    tag, sides = leaf.tags.get("ResolutionUnit"), _pixels_a_unit(leaf)
    unit = _TAG_UNITS.get(2 if tag is None else int(tag.value))
    if unit is None or sides is None:
        return None
    width, height = (um_of(1 / side, unit=unit) for side in sides)
    if max(width, height) > _FINEST_SCANNER_UM:
        return None
    return believable(width, height, said_by="TIFF resolution")


def _pixels_a_unit(leaf: TiffPage) -> tuple[float, float] | None:
    """Pixels a unit across and down; ``None`` where a tag is missing or means nothing."""
    sides = []
    for name in ("XResolution", "YResolution"):
        tag = leaf.tags.get(name)
        if tag is None:
            return None
        above, below = tag.value
        if not above or not below:
            return None
        sides.append(float(above) / float(below))
    return sides[0], sides[1]
