"""Objects drawn on their picture: a colour for each type, letters and numbers, a mark where there is doubt.

The colours are those of Okabe and Ito (2008), which colour-blind readers tell apart; letters say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Int32, UInt8

from supcam.core.types import ClusterType
from supcam.spread.objects import REJECTED, SpreadObject
from supcam.spread.picture import Grey

Colour = tuple[int, int, int]
Contour = Int32[np.ndarray, "_ 1 2"]
Picture = UInt8[np.ndarray, "rows columns 3"]

COLOURS: dict[str, Colour] = {
    "instance": (0, 114, 178),
    "touching": (230, 159, 0),
    "overlapping": (0, 158, 115),
    "touching_overlapping": (204, 121, 167),
    REJECTED: (80, 80, 80),
}
"""Red, green and blue of each type; the grey is dark, as a middle one is the green of the red-green blind."""
DOUBT: Colour = (213, 94, 0)
LETTERS = {
    "instance": "I",
    "touching": "T",
    "overlapping": "O",
    "touching_overlapping": "TO",
    REJECTED: "x",
}
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(grey: Grey, *, objects: Sequence[SpreadObject], scale: float = 1.0) -> Picture:
    """``grey`` in colour with the outline, letter and number of every object, in red, green and blue.

    Single chromosomes without doubt have no letter, rejected objects are grey with thin lines; what needs a
    look has a second, orange line and a question mark.
    """
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for item in objects:
        lines = outline(item, scale=scale)
        if item.doubts:
            cv2.drawContours(picture, lines, -1, DOUBT, 4, cv2.LINE_AA)
        thickness, kind = (2, cv2.LINE_AA) if item.is_kept else (1, cv2.LINE_8)
        cv2.drawContours(picture, lines, -1, COLOURS[item.type], thickness, kind)
    for item in objects:
        if item.doubts or (item.is_kept and item.type != ClusterType.INSTANCE.label):
            _write(picture, item=item, scale=scale)
    return picture


def caption(item: SpreadObject) -> str:
    """The letters of its type, its number when it is a cluster, a question mark where there is doubt."""
    number = str(item.n_chromosomes) if item.n_chromosomes > 1 else ""
    return LETTERS[item.type] + number + ("?" if item.doubts else "")


def outline(item: SpreadObject, *, scale: float = 1.0) -> list[Contour]:
    """The outer lines of an object, as points (x, y) of the picture reduced by ``scale``."""
    found, _ = cv2.findContours(item.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    start = np.array([item.box.left, item.box.top])
    return [np.rint((points + start) * scale).astype(np.int32) for points in found]


def png_bytes(picture: np.ndarray) -> bytes:
    """A grey or RGB picture as the content of a PNG file."""
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return content.tobytes()


def jpeg_bytes(picture: np.ndarray, *, quality: int = 85) -> bytes:
    """A grey or RGB picture as the content of a JPEG file."""
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()


def _write(picture: Picture, *, item: SpreadObject, scale: float) -> None:
    """The caption above the object, white behind the letters so that it is read on any background."""
    text = caption(item)
    height, width = picture.shape[:2]
    (wide, high), _ = cv2.getTextSize(text, _FONT, 0.42, 1)
    tip = item.box.left + int(np.argmax(item.mask[0]))
    left = int(min(max(0, tip * scale - wide / 2), width - wide - 1))
    base = int(min(max(high + 2, item.box.top * scale - 4), height - 2))
    cv2.putText(picture, text, (left, base), _FONT, 0.42, (255, 255, 255), 3, cv2.LINE_AA)
    colour = DOUBT if item.doubts else COLOURS[item.type]
    cv2.putText(picture, text, (left, base), _FONT, 0.42, colour, 1, cv2.LINE_AA)
