"""Component -> square network input: the only preprocessing, for training, export and use."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, Float32

from supcam.core.components import segmentation_mask
from supcam.core.config import CropConfig, ForegroundConfig
from supcam.core.foreground import (
    Foreground,
    chromosome_width,
    grown,
    mask_box,
    typical_stain,
)
from supcam.core.types import Box, ImageError, Mask, Region, Stain

Matrix = Float[np.ndarray, "2 3"]
Square = Float32[np.ndarray, "size size"]
Resampled = Float32[np.ndarray, "rows columns"]

RIM_SHARE = 0.35
"""Background kept around an object, as a share of the chromosome width: its blurred edge, no neighbours."""
_CEILING = 2.5


def region_from_crop(stain: Stain, *, outside: Mask | None, config: ForegroundConfig) -> Region:
    """The object of a crop. Raises ``ImageError`` when there is none.

    With ``outside`` (the whitened-out surroundings) all that is left is one object, in as many pieces as the
    threshold makes of it; without, the component nearest to the centre is the object and its neighbours are
    taken away.
    """
    typical = typical_stain(stain)
    mask = segmentation_mask(stain, typical=typical, config=config)
    if outside is not None:
        mask &= ~outside
        chosen = mask
    else:
        chosen = _central_component(mask)
    if not chosen.any():
        raise ImageError(
            "no object", expected="one chromosome or cluster", remedy="check the crop and its polarity"
        )
    body = np.asarray(stain > config.width_level * typical) & grown(chosen, radius_px=2)
    width = chromosome_width(body)
    return cut_region(stain, mask=chosen, others=mask & ~chosen, width_px=max(width, 1.0))


def _central_component(mask: Mask) -> Mask:
    """The component with the most stain near the centre: pixels count less the farther out they lie."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    height, width = mask.shape
    y = (np.arange(height) - (height - 1) / 2)[:, None] / height
    x = (np.arange(width) - (width - 1) / 2)[None, :] / width
    votes = np.bincount(labels.ravel(), weights=np.exp(-12 * (y**2 + x**2)).ravel())
    votes[0] = 0
    return np.asarray((labels == votes.argmax()) & mask, dtype=np.bool_)


def region_of_object(foreground: Foreground, index: int) -> Region:
    """Object ``index`` (0 = first box) of a whole picture, without its neighbours, with its rim."""
    pad = 2 + int(np.ceil(RIM_SHARE * foreground.width_px))
    box = foreground.boxes[index]
    height, width = foreground.labels.shape
    wide = Box(
        top=max(0, box.top - pad),
        left=max(0, box.left - pad),
        bottom=min(height, box.bottom + pad),
        right=min(width, box.right + pad),
    )
    labels = foreground.labels[wide.slices]
    mask = np.asarray(labels == index + 1)
    region = cut_region(
        foreground.stain[wide.slices], mask=mask, others=(labels > 0) & ~mask, width_px=foreground.width_px
    )
    return replace(region, box=wide)


def cut_region(stain: Stain, *, mask: Mask, others: Mask, width_px: float) -> Region:
    """``stain`` inside ``mask`` and its rim, 0 elsewhere and where ``others`` begin; size unchanged."""
    keep = grown(mask, radius_px=max(2, round(RIM_SHARE * width_px)))
    if others.any():
        keep &= mask | ~grown(others, radius_px=1)
    height, width = stain.shape
    kept = np.where(keep, stain, np.float32(0))
    return Region(stain=kept, mask=mask, box=Box(0, 0, height, width), width_px=width_px)


def network_input(region: Region, *, config: CropConfig) -> Square:
    """The network's picture of ``region``: stain at the common scale, centred, about 0..1, 0 = background.

    The scale makes every chromosome ``width_px`` wide (our choice, see ``docs/method.md``); only what would
    not fit is made smaller.
    """
    matrix = placement(region, config=config)
    return normalise(resample(region.stain, matrix=matrix, size_px=config.size_px))


def placement(region: Region, *, config: CropConfig) -> Matrix:
    """The affine map from pixels of ``region`` to pixels of the network's square: one scale and a shift."""
    box = mask_box(region.mask)
    scale = fit_scale(max(box.height, box.width), width_px=region.width_px, config=config)
    centre = (np.array([box.left + box.right, box.top + box.bottom]) - 1) / 2
    shift = (config.size_px - 1) / 2 - scale * centre
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def fit_scale(long_side_px: float, *, width_px: float, config: CropConfig) -> float:
    """Input pixels for each picture pixel, for an object of that long side and chromosome width."""
    fitting = (config.size_px - 2 * config.margin_px) / max(long_side_px, 1.0)
    if config.scale_rule == "square_fit":
        return fitting
    return min(config.width_px / max(width_px, 1.0), config.max_enlargement, fitting)


def resample(stain: Stain, *, matrix: Matrix, size_px: int | tuple[int, int]) -> Resampled:
    """``stain`` drawn through the affine ``matrix``; ``size_px`` is the new side, or rows and columns.

    Blurred first by as much as the reduction asks, so that nothing aliases. Bilinear.
    """
    rows, columns = (size_px, size_px) if isinstance(size_px, int) else size_px
    scale = float(np.sqrt(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))
    if scale < 0.75:
        sigma = 0.4 * float(np.sqrt(1 / scale**2 - 1))
        stain = cv2.GaussianBlur(stain, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return cv2.warpAffine(stain, matrix, (columns, rows), flags=cv2.INTER_LINEAR)


def normalise(stain: Stain) -> Stain:
    """``stain`` as a share of the object's own level, clipped at 2.5.

    The level is the contraharmonic mean of all pixels: for a body of even stain it is that stain, whatever
    the size of the body in the picture, with no threshold to choose.
    """
    total = float(stain.sum())
    if total <= 0:
        return np.zeros_like(stain)
    level = float(np.einsum("ij,ij->", stain, stain)) / total
    return np.minimum(stain / np.float32(level), np.float32(_CEILING))
