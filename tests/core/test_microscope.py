"""Pixel size and planes from TIFF files as microscopes, ImageJ and others write them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from tests.hostile import LAUGHS, text_tag, tiff

from supcam.core.microscope import PageFacts, page_facts, um_of
from supcam.core.types import PixelSize

STACK = np.arange(12 * 8 * 9, dtype=np.uint8).reshape(12, 8, 9)


def written(samples: np.ndarray = STACK[0], **options: object) -> bytes:
    file = io.BytesIO()
    chosen: dict[str, Any] = {"photometric": "minisblack", **options}
    tifffile.imwrite(file, samples, **chosen)
    return file.getvalue()


def facts(data: bytes, *, page: int = 0) -> PageFacts:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return page_facts(file, page=page)


def described(text: str) -> PageFacts:
    return facts(tiff(text_tag(text.encode() + b"\0")))


def ome(pixels: str = "", inside: str = "", *, root: str = "") -> str:
    return (
        f'<?xml version="1.0"?><OME {root}><Image><Pixels SizeC="1" SizeZ="1" SizeT="1" {pixels}>'
        f"{inside}</Pixels></Image></OME>"
    )


@pytest.mark.parametrize(
    ("value", "unit", "um"),
    [(0.065, "µm", 0.065), (0.065, "\u03bcm", 0.065), (65.0, "nm", 0.065), (6.5e-5, "mm", 0.065)],
)
def test_ome_xml_says_the_size_in_any_unit(value: float, unit: str, um: float) -> None:
    size = {f"PhysicalSize{axis}": value for axis in "XY"}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    found = facts(written(ome=True, metadata={"axes": "YX", **size, **units})).pixel_size
    assert found is not None
    assert (found.width_um, found.height_um) == pytest.approx((um, um))
    assert found.said_by == "OME-XML"


def test_ome_sides_may_differ_and_default_to_micrometres() -> None:
    assert described(ome('PhysicalSizeX="0.1" PhysicalSizeY="0.2"')).pixel_size == PixelSize(
        0.1, height_um=0.2, said_by="OME-XML"
    )
    alone = described(ome('PhysicalSizeX="0.1"')).pixel_size
    assert alone is not None
    assert alone.area_um2 == pytest.approx(0.01)


@pytest.mark.parametrize(
    "said",
    [
        "",
        'PhysicalSizeX="0" PhysicalSizeY="0"',
        'PhysicalSizeX="nan"',
        'PhysicalSizeX="-0.1"',
        'PhysicalSizeX="1e9"',
        'PhysicalSizeX="0.1" PhysicalSizeXUnit="pixel"',
        'PhysicalSizeX="much"',
        'PhysicalSizeX="0.1" SizeQ="1" DimensionOrder="ABC"',
        'PhysicalSizeX="0.1" DimensionOrder="XYXYX"',
    ],
)
def test_what_is_no_believable_size_is_unknown(said: str) -> None:
    assert described(ome(said)).pixel_size is None


def test_damaged_and_hostile_remarks_are_passed_over() -> None:
    laughs = LAUGHS.decode().replace("<OME>", '<OME><Image><Pixels PhysicalSizeX="0.1"/></Image>')
    for text in (
        laughs,
        "<OME",
        "<OME>",
        '<OME><Image><Pixels SizeC="x"/></Image></OME>',
        "ImageJ=\nchannels=x",
    ):
        assert described(text) == PageFacts()
    many = ome('SizeC="999999999999"').replace('SizeC="1"', "")
    assert described(many) == PageFacts()


@pytest.mark.parametrize(
    ("order", "page", "told"),
    [
        ("XYCZT", 1, "channel 2 of 3, slice 1 of 4"),
        ("XYCZT", 11, "channel 3 of 3, slice 4 of 4"),
        ("XYZCT", 1, "channel 1 of 3, slice 2 of 4"),
        ("XYZCT", 5, "channel 2 of 3, slice 2 of 4"),
    ],
)
def test_ome_planes_follow_the_order_of_the_file(order: str, page: int, told: str) -> None:
    text = (
        f'<OME><Image><Pixels DimensionOrder="{order}" SizeC="3" SizeZ="4" SizeT="1" PhysicalSizeX="0.1">'
        '<Channel/><Channel/><Channel/><TiffData IFD="0" PlaneCount="12"/></Pixels></Image></OME>'
    )
    data = written(STACK, description=text, metadata=None)
    assert facts(data, page=page).plane == told


def test_what_tifffile_writes_is_read_back() -> None:
    stack = STACK.reshape(4, 3, 8, 9)
    data = written(stack, ome=True, metadata={"axes": "ZCYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1})
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for page in range(12):
            place = np.argwhere((stack == file.pages[page].asarray()).all(axis=(2, 3)))[0]
            told = f"channel {place[1] + 1} of 3, slice {place[0] + 1} of 4"
            assert page_facts(file, page=page).plane == told


def test_each_image_of_a_file_has_its_own_size() -> None:
    image = (
        '<Image><Pixels SizeC="1" SizeZ="1" SizeT="2" PhysicalSizeX="{size}">'
        '<TiffData IFD="{first}" PlaneCount="2"/></Pixels></Image>'
    )
    text = f"<OME>{image.format(size=0.1, first=0)}{image.format(size=0.3, first=2)}</OME>"
    data = written(STACK[:4], description=text, metadata=None)
    sizes = [facts(data, page=page).pixel_size for page in range(4)]
    assert [size and size.width_um for size in sizes] == [0.1, 0.1, 0.3, 0.3]
    assert facts(data, page=3).plane == "time point 2 of 2"


def test_planes_that_lie_in_another_file_are_not_taken_for_own_ones() -> None:
    inside = '<TiffData IFD="0"><UUID>urn:b</UUID></TiffData>'
    assert described(ome('PhysicalSizeX="0.1"', inside, root='UUID="urn:a"')).pixel_size is None
    assert described(ome('PhysicalSizeX="0.1"', inside, root='UUID="urn:b"')).pixel_size is not None


def test_colours_of_one_plane_are_no_channels() -> None:
    text = (
        '<OME><Image><Pixels SizeC="3" SizeZ="2" SizeT="1"><Channel SamplesPerPixel="3"/>'
        '<TiffData IFD="0" PlaneCount="2"/></Pixels></Image></OME>'
    )
    assert facts(written(STACK[:2], description=text, metadata=None), page=1).plane == "slice 2 of 2"


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m", "nm"])
def test_imagej_counts_pixels_a_unit(unit: str) -> None:
    a_unit = (10.0, 5.0) if unit != "nm" else (0.01, 0.005)
    data = written(
        STACK.reshape(4, 3, 8, 9), imagej=True, resolution=a_unit, metadata={"unit": unit, "axes": "ZCYX"}
    )
    found = facts(data, page=4)
    assert found.plane == "channel 2 of 3, slice 2 of 4"
    assert found.pixel_size is not None
    assert (found.pixel_size.width_um, found.pixel_size.height_um) == pytest.approx((0.1, 0.2))
    assert found.pixel_size.said_by == "ImageJ"


def test_imagej_without_a_unit_of_length_says_nothing() -> None:
    for unit in ("pixel", ""):
        data = written(imagej=True, resolution=(10, 10), metadata={"unit": unit})
        assert facts(data).pixel_size is None


def test_tags_of_resolution_are_a_microscope_s_only_when_fine_enough() -> None:
    fine = facts(
        written(resolution=(100_000, 100_000), resolutionunit="CENTIMETER", metadata=None)
    ).pixel_size
    assert fine is not None
    assert fine.width_um == pytest.approx(0.1)
    assert fine.said_by == "TIFF resolution"
    for dpi in (72, 300, 4800):
        coarse = written(resolution=(dpi, dpi), resolutionunit="INCH", metadata=None)
        assert facts(coarse).pixel_size is None
    assert facts(written(resolution=(10, 10), resolutionunit="NONE", metadata=None)).pixel_size is None
    assert facts(tiff()).pixel_size is None


def test_unknown_units_are_refused() -> None:
    assert um_of(2.0, unit=" inch ") == 50_800
    with pytest.raises(ValueError, match="furlong"):
        um_of(1.0, unit="furlong")
