"""Where the network saw what it read in a crop: its class activation, sampled finely, without torch.

The bundle's ``type_map`` is the class activation of Zhou et al. (2016): one value a type for each of a few
cells. For a cluster read as touching, the cells in which touching outweighs a single chromosome are the ones
that spoke for a contact. The picture is shown to the network again, shifted by parts of a cell; the cells of
all shifts together make a finer map (our choice; ``docs/explanation.md`` says how well it points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from supcam.core.crop import Square
from supcam.core.types import ClusterType, Prediction
from supcam.pack.bundle import Model

SHIFTS = 2
"""Looks along each side within a cell; more point no better, 1 points little better than chance."""
_BODY = 0.15
"""Stain from which a pixel of a network input belongs to the object, as a share of the object's level."""

Heat = Float32[np.ndarray, "size size"]
Maps = Float32[np.ndarray, "looks 4 cells cells"]
Cells = Float32[np.ndarray, "looks cells cells"]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A network input, what was read in it, and how much each place speaks for that.

    ``heat`` is above 0 where the place speaks for the type that was read: for a cluster against a single
    chromosome, for a single chromosome against the likeliest cluster. In units of the type's logit.
    """

    square: Square
    prediction: Prediction
    heat: Heat

    @property
    def body(self) -> Bool[np.ndarray, "size size"]:
        """Where the object is."""
        return np.asarray(self.square > _BODY)

    @property
    def peak(self) -> tuple[int, int]:
        """Row and column of the hottest place on the object; of the hottest at all where there is none."""
        shown = np.where(self.body, self.heat, -np.inf) if self.body.any() else self.heat
        row, column = np.unravel_index(int(shown.argmax()), shown.shape)
        return int(row), int(column)


def explain(squares: Sequence[Square], *, model: Model, shifts: int = SHIFTS) -> list[Explanation]:
    """Each network input explained by ``shifts`` squared looks beside the one that reads it."""
    return [_explained(square, model=model, shifts=shifts) for square in squares]


def _explained(square: Square, *, model: Model, shifts: int) -> Explanation:
    read = model.answers(square[None, None])
    prediction = model.read_crops(read)[0]
    stride = stride_of(len(square), cells=read.type_map.shape[2])
    steps = _steps(stride, shifts=shifts)
    looks = [_shifted(square, down=down, right=right) for down in steps for right in steps]
    margins = _margins(model.logits(np.stack(looks)[:, None]).type_map, prediction=prediction)
    return Explanation(square, prediction, _joined(margins, steps=steps, stride=stride, size=len(square)))


def stride_of(size_px: int, *, cells: int) -> int:
    """Pixels from one cell of a map to the next: the power of two nearest to that share of the input."""
    return int(2 ** np.round(np.log2(max(1.0, size_px / cells))))


def _steps(stride: int, *, shifts: int) -> list[int]:
    """Shifts in pixels, evenly over one cell and about its middle."""
    return [round(((k + 0.5) / shifts - 0.5) * stride) for k in range(shifts)]


def _shifted(square: Square, *, down: int, right: int) -> Square:
    """``square`` moved by whole pixels over an empty background."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(square, matrix, square.shape[::-1], flags=cv2.INTER_NEAREST), np.float32)


def _margins(maps: Maps, *, prediction: Prediction) -> Cells:
    """How much each cell prefers what was read to what stands against it."""
    chances = prediction.probabilities
    best = chances.index(max(chances))
    against = int(ClusterType.INSTANCE)
    if best == against:
        against = max((kind for kind in ClusterType if kind != best), key=lambda kind: chances[kind])
    return np.asarray(maps[:, best] - maps[:, against], dtype=np.float32)


def _joined(margins: Cells, *, steps: Sequence[int], stride: int, size: int) -> Heat:
    """The cells of all looks as one map over the input.

    Cell i of a network whose layers are padded evenly is centred on pixel ``i * stride`` of what it was
    shown, so on pixel ``i * stride - step`` of the input.
    """
    n, cells = len(steps), margins.shape[1]
    grid = margins.reshape(n, n, cells, cells)[::-1, ::-1]
    grid = np.ascontiguousarray(grid.transpose(2, 0, 3, 1).reshape(n * cells, n * cells))
    places = ((np.arange(size) + steps[-1]) * n / stride).astype(np.float32)
    rows, columns = np.meshgrid(places, places, indexing="ij")
    heat = cv2.remap(grid, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(heat, dtype=np.float32)
