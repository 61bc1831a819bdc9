"""Objects cut out of their picture, as a training set that ``supcam.data.manifest`` reads."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from supcam.core.foreground import grown
from supcam.core.types import Box, Mask, Polarity
from supcam.spread.objects import CROP_RIM_PX, SpreadObject
from supcam.spread.picture import Grey, OpenPicture

Framed = UInt8[np.ndarray, "framed_rows framed_columns"]

_FRAME_PX = 4
_RIM_SHARE = 0.35


def cut_out(item: SpreadObject, *, width_px: float, polarity: Polarity) -> Grey:
    """The object in grey with a rim of background, nothing but background around it.

    White in bright field, so that the reader takes it for whitened out; in fluorescence the darkest grey of
    the rim. Raises ``ValueError`` for an object that the model was not asked about.
    """
    mask = mask_on_crop(item)
    assert item.crop is not None
    return _cut(item.crop, mask=mask, width_px=width_px, polarity=polarity)


def cut_from(picture: OpenPicture, *, box: Box, mask: Mask | None, width_px: float) -> Grey:
    """What lies in ``box`` of an open picture, cut out as by ``cut_out``; ``mask`` lies within the box.

    Without a mask a plain rectangle with a rim: of such crops the reader takes what lies in the middle.
    """
    wide = box.grown(CROP_RIM_PX, within=picture.size)
    grey = picture.grey(wide)
    if mask is None:
        return np.ascontiguousarray(grey)
    whole = np.zeros(grey.shape, np.bool_)
    whole[box.moved(-wide.top, -wide.left).slices] = mask
    return _cut(grey, mask=whole, width_px=width_px, polarity=picture.polarity)


def _cut(grey: Grey, *, mask: Mask, width_px: float, polarity: Polarity) -> Framed:
    kept = grown(mask, radius_px=max(2, round(_RIM_SHARE * width_px)))
    outside = 255
    if polarity is Polarity.FLUORESCENCE:
        rim = grey[kept & ~mask]
        outside = int(np.quantile(rim, 0.05)) if rim.size else 0
    cut = np.where(kept, grey, np.uint8(outside)).astype(np.uint8)
    frame = (_FRAME_PX,) * 4
    return np.asarray(cv2.copyMakeBorder(cut, *frame, cv2.BORDER_CONSTANT, value=outside), dtype=np.uint8)


def mask_on_crop(item: SpreadObject) -> Mask:
    """The object's mask on its crop, which shows more unless the picture ends there.

    Raises ``ValueError`` for an object that the model was not asked about.
    """
    if item.crop is None:
        raise ValueError(f"object {item.object_id} has no picture")
    mask = np.zeros(item.crop.shape, np.bool_)
    top, left = item.crop_start
    mask[top : top + item.box.height, left : left + item.box.width] = item.mask
    return mask
