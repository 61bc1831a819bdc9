"""``supcam explain``: crops -> sheets that show where the network saw what it read, and a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from supcam.core.config import ImageConfig
from supcam.core.crop import network_input, placement
from supcam.core.types import ClusterType, ConfigError, SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import Model, load_model
from supcam.spread.explanation import SHIFTS, Explanation, explain
from supcam.spread.overlay import LETTERS, png_bytes
from supcam.workflows.classify import Listener
from supcam.workflows.inputs import find_inputs
from supcam.workflows.new_folder import NewFolder

TABLE, COLUMNS = (
    "explanations.csv",
    ("path", "type", "confidence", "n_chromosomes", "peak_row_px", "peak_column_px", "peak_heat", "sheet"),
)
_BATCH = 24
_ACROSS, _TILE_PX, _WORDS_PX = 4, 168, 34
_WHITE = 255

Picture = UInt8[np.ndarray, "rows columns 3"]
Heat = Float32[np.ndarray, "size size"]


@dataclass(frozen=True, slots=True)
class ExplainPlan:
    """Which crops, by which model, and where the sheets go: a new folder.

    ``looks`` squared shifted looks make a map. With ``checkpoint``, the trained network behind the model,
    Grad-CAM at the backbone's ``layer`` is shown beside it.
    """

    named: tuple[str, ...]
    output: Path
    model: Path | None = None
    image: ImageConfig = field(default_factory=ImageConfig)
    looks: int = SHIFTS
    checkpoint: Path | None = None
    layer: str = "layer4"


@dataclass(frozen=True, slots=True)
class ExplainSummary:
    """What came of it."""

    n_explained: int
    failures: tuple[Unreadable, ...]
    output: Path

    def told(self) -> str:
        """The whole run in one line."""
        failed = f"; {len(self.failures)} failed" if self.failures else ""
        return f"{self.n_explained} crops explained -> {self.output}{failed}"


@dataclass(frozen=True, slots=True, eq=False)
class _Explained:
    """An explained crop; ``peak`` is the row and column of its hottest place in the file's own pixels."""

    name: str
    explanation: Explanation
    peak: tuple[float, float]


def explain_crops(plan: ExplainPlan, *, listener: Listener | None = None) -> ExplainSummary:
    """The number of crops explained and what failed; sheets, table and ``explanations.json`` in a new folder.

    Raises ``SupcamError``: no picture, no model, an output that is there already or cannot be written.
    """
    listener = listener or Listener()
    if not 1 <= plan.looks <= 8:
        raise ConfigError(f"{plan.looks} looks", expected="1 to 8", remedy="correct --looks")
    inputs = find_inputs(plan.named)
    failures = [*inputs.unusable]
    listener.started(len(inputs.names))
    with NewFolder(plan.output) as folder:
        model = load_model(plan.model, image=plan.image)
        crops = _explained(inputs.names, model=model, plan=plan, failures=failures, listener=listener)
        rows: list[tuple[object, ...]] = []
        while batch := list(islice(crops, _BATCH)):
            sheet = f"sheet_{1 + len(rows) // _BATCH:03d}.png"
            folder.write(sheet, png_bytes(_sheet(batch, plan=plan)))
            rows += [_row(one, sheet=sheet) for one in batch]
        for item in failures:
            listener.failed(item)
        folder.write_table(TABLE, columns=COLUMNS, rows=rows)
        folder.write("explanations.json", _record(rows, model=model, plan=plan, failures=failures))
        folder.keep()
    return ExplainSummary(n_explained=len(rows), failures=tuple(failures), output=plan.output)


def _explained(
    names: Sequence[str],
    *,
    model: Model,
    plan: ExplainPlan,
    failures: list[Unreadable],
    listener: Listener,
) -> Iterator[_Explained]:
    for name in names:
        try:
            region = model.read_region(name)
        except SupcamError as error:
            failures.append(Unreadable(Path(name), error.reason))
            continue
        finally:
            listener.advanced(1)
        square = network_input(region, config=model.card.crop)
        explanation = explain([square], model=model, shifts=plan.looks)[0]
        matrix = placement(region, config=model.card.crop)
        row, column = explanation.peak
        peak = ((row - matrix[1, 2]) / matrix[1, 1], (column - matrix[0, 2]) / matrix[0, 0])
        yield _Explained(name, explanation, (float(peak[0]), float(peak[1])))


def _row(one: _Explained, *, sheet: str) -> tuple[object, ...]:
    read = one.explanation.prediction
    hottest = float(one.explanation.heat[one.explanation.peak])
    peak = [f"{place:.1f}" for place in one.peak]
    return (one.name, read.type, f"{read.confidence:.6f}", read.n_chromosomes, *peak, f"{hottest:.4f}", sheet)


def _record(
    rows: Sequence[tuple[object, ...]], *, model: Model, plan: ExplainPlan, failures: Sequence[Unreadable]
) -> bytes:
    card = model.card
    values = {
        "model": {"name": card.name, "version": card.version, "sha256": card.model_sha256},
        "looks": plan.looks,
        "crops": [dict(zip(COLUMNS, row, strict=True)) for row in rows],
        "errors": [{"path": str(item.path), "reason": item.reason} for item in failures],
    }
    return (json.dumps(values, indent=1) + "\n").encode()


def _sheet(batch: Sequence[_Explained], *, plan: ExplainPlan) -> Picture:
    """The crops of a sheet, each with its map and, with a checkpoint, its Grad-CAM."""
    cams: list[Heat | None] = [None] * len(batch)
    if plan.checkpoint is not None:
        cams = [*_cams(batch, checkpoint=plan.checkpoint, layer=plan.layer)]
    tiles = [_tile(one, cam=cam) for one, cam in zip(batch, cams, strict=True)]
    blank = np.full_like(tiles[0], _WHITE)
    tiles += [blank] * (-len(tiles) % _ACROSS)
    rows = [np.hstack(tiles[at : at + _ACROSS]) for at in range(0, len(tiles), _ACROSS)]
    return np.ascontiguousarray(np.vstack(rows))


def _cams(batch: Sequence[_Explained], *, checkpoint: Path, layer: str) -> Iterator[Heat]:
    from supcam.learn.attribution import grad_cam  # noqa: PLC0415  only this option needs torch and captum

    pictures = np.stack([one.explanation.square for one in batch])[:, None]
    types = [
        ClusterType.INSTANCE if one.explanation.prediction.label is None else one.explanation.prediction.label
        for one in batch
    ]
    yield from grad_cam(checkpoint, pictures=pictures, types=types, layer=layer)


def _tile(one: _Explained, *, cam: Heat | None) -> Picture:
    """A crop as it is, then under its map with a ring at the peak; what was read above them."""
    shown = one.explanation
    plain = _grey(shown)
    near = _near(shown)
    warm = _warm(plain, heat=shown.heat * near)
    seen = [plain, _ringed(warm, peak=shown.peak, size=len(shown.square))]
    if cam is not None:
        seen.append(_warm(plain, heat=cam * near))
    tile = np.hstack(seen)
    words = np.full((_WORDS_PX, tile.shape[1], 3), _WHITE, np.uint8)
    read = shown.prediction
    _write(words, f"{LETTERS[read.type]}  {read.confidence:.2f}  n={read.n_chromosomes}", row=13)
    _write(words, Path(one.name).name[-44:], row=28)
    return np.pad(np.vstack([words, tile]), ((2, 6), (2, 10), (0, 0)), constant_values=_WHITE)


def _write(picture: Picture, text: str, *, row: int) -> None:
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(picture, plain, (2, row), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)


def _grey(shown: Explanation) -> Picture:
    """The network's input as a dark object on white, as large as a tile."""
    grey = _WHITE * (1 - np.clip(shown.square / 1.6, 0, 1))
    large = cv2.resize(grey.astype(np.uint8), (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)


def _near(shown: Explanation) -> Heat:
    """1 on the object, falling to 0 away from it, where the map says nothing."""
    body = cv2.GaussianBlur(shown.body.astype(np.float32), (0, 0), 6.0)
    return np.asarray(np.minimum(1, 3 * body), dtype=np.float32)


def _warm(plain: Picture, *, heat: Heat) -> Picture:
    """``plain`` tinted orange where the heat is above 0, the more the hotter."""
    large = cv2.resize(heat, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_LINEAR)
    share = 0.75 * np.clip(large / max(float(large.max()), 1e-6), 0, 1)[..., None]
    return np.asarray((1 - share) * plain + share * np.array([230, 97, 1]), np.uint8)


def _ringed(picture: Picture, *, peak: tuple[int, int], size: int) -> Picture:
    ringed = picture.copy()
    row, column = (round((place + 0.5) * _TILE_PX / size) for place in peak)
    cv2.circle(ringed, (column, row), 7, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.circle(ringed, (column, row), 7, (0, 0, 0), 1, cv2.LINE_AA)
    return ringed
