"""Batches kept on disk once they are drawn: runs that differ in how they learn draw the same pictures.

A kept batch is a convenience and never a promise. One that is missing, damaged, or was deleted meanwhile is
drawn again, bit for bit the same, and a full disk keeps none.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from supcam.core.disk import write_whole
from supcam.learn.config import ScheduleConfig
from supcam.learn.ranks import Share
from supcam.learn.recipe import Recipe
from supcam.learn.run_folder import versions
from supcam.learn.stages import read_stages

_DRAWN_BY = ("seed", "batch_size", "pictures_per_epoch", "compose")
"""What of a schedule decides which pictures a step sees."""

BatchOf = TypeVar("BatchOf", bound=tuple[Any, ...])


class KeptBatches(Dataset[BatchOf], Generic[BatchOf]):
    """``batches``, each read from ``folder`` where it lies there, else drawn and written there.

    Batches are named tuples ``kind`` of tensors and their ``step``; a process's ``share`` has its own files.
    """

    def __init__(
        self, batches: Dataset[BatchOf], *, kind: Callable[..., BatchOf], share: Share, folder: Path
    ) -> None:
        self.batches = batches
        self.kind = kind
        self.share = share
        self.folder = folder

    def __getitem__(self, step: int) -> BatchOf:
        path = self.folder / f"{step}_{self.share.rank}of{self.share.ranks}.npz"
        tensors = _read(path)
        if tensors is not None:
            return self.kind(**tensors, step=step)
        batch = self.batches[step]
        _write(path, tensors={k: v for k, v in _fields(batch).items() if isinstance(v, Tensor)})
        return batch


def _fields(batch: Any) -> dict[str, Any]:  # noqa: ANN401 (any named tuple)
    return dict(batch._asdict())


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: torch.from_numpy(stored[name]) for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, *, tensors: dict[str, Tensor]) -> None:
    stream = io.BytesIO()
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
    np.savez(stream, **arrays)
    try:
        write_whole(path, [stream.getvalue()])
    except OSError:
        return


def drawing_of(recipe: Recipe, *, step: str, schedule: ScheduleConfig, data_hash: str) -> str:
    """A name for the pictures of ``step`` by ``recipe``: the same for all that draw the same ones.

    It holds everything that a picture follows from: data, stages, schedule, the libraries, and this
    package's code.
    """
    stages = read_stages(recipe)
    values = {
        "step": step,
        "data": stages.data.model_dump(mode="json", exclude={"validation"}),
        "composition": stages.composition.model_dump(mode="json"),
        "views": stages.views.model_dump(mode="json"),
        "stages": recipe.model_dump(mode="json", include={"crop", "image", "foreground"}),
        "schedule": schedule.model_dump(mode="json", include={*_DRAWN_BY}),
        "data_hash": data_hash,
        "made_with": versions(),
        "code": _hash_of_code(),
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _hash_of_code() -> str:
    """SHA-256 of the package's modules: another version may draw other pictures."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def used(drawing: Path) -> Path:
    """``drawing``, there and used just now; where it cannot be made, nothing is kept."""
    with suppress(OSError):
        drawing.mkdir(parents=True, exist_ok=True)
        os.utime(drawing)
    return drawing


def make_room(folder: Path, *, most_bytes: int) -> None:
    """Deletes whole drawings in ``folder``, those used longest ago first, until the rest fit."""
    if not folder.is_dir():
        return
    found = [_use_of(drawing) for drawing in folder.iterdir() if drawing.is_dir()]
    total = 0
    for _, n_bytes, drawing in sorted(found, reverse=True):
        total += n_bytes
        if total > most_bytes:
            shutil.rmtree(drawing, ignore_errors=True)


def _use_of(drawing: Path) -> tuple[float, int, Path]:
    """When it was last used, and its bytes; what another command deletes meanwhile holds none any more."""
    last, n_bytes = 0.0, 0
    with suppress(FileNotFoundError):
        last = drawing.stat().st_mtime
        for path in drawing.iterdir():
            n_bytes += path.stat().st_size
    return last, n_bytes, drawing
