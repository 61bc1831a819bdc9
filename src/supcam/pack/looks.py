"""How the pictures of an evaluation look, as a table, and what a bundle knows of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from supcam.core.look import LOOK
from supcam.core.types import ClusterType, SupcamError
from supcam.measure.familiarity import Familiarity, KnownLooks
from supcam.pack.card import Calibration, Familiar
from supcam.pack.scoring import Scored, name_places

LOOKS_TABLE = "looks.csv"
_COLUMNS = ("path", "case", "source", "fold", "read_as", *LOOK)


def write_looks(scored: Sequence[Scored], *, fold: str, path: Path) -> Path:
    """``path``, now a CSV of how each scored picture looks, rejected ones left out."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for item, name in zip(scored, name_places([item.sample for item in scored]), strict=True):
            if item.look is None or item.prediction.label is None:
                continue
            sample = item.sample
            numbers = [f"{number:.6g}" for number in item.look]
            writer.writerow([name, sample.case, sample.source, fold, item.prediction.type, *numbers])
    return path


def read_looks(folders: Sequence[Path]) -> KnownLooks:
    """What several evaluations wrote of their pictures. Raises ``SupcamError``."""
    rows = [row for folder in folders for row in _rows(folder / LOOKS_TABLE)]
    return KnownLooks(
        looks=_numbers(rows),
        types=np.array([ClusterType.from_label(row["read_as"]) for row in rows], np.int64),
        roles=tuple(row["fold"] for row in rows),
    )


def with_familiarity(calibration: Calibration, *, found: Familiarity) -> Calibration:
    """``calibration`` with that reference."""
    reference = found.reference
    values = {
        "means": np.round(reference.means, 5).tolist(),
        "precision": np.round(reference.precision, 4).tolist(),
        "limit": round(reference.limit, 5),
        "fitted_on": found.fitted_on,
        "limit_on": found.limit_on,
        "kept": found.kept,
    }
    return calibration.model_copy(update={"familiar": Familiar.model_validate(values)})


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            rows = list(csv.DictReader(stream))
        _numbers(rows)
        for row in rows:
            ClusterType.from_label(row["read_as"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise SupcamError(
            f"no table of looks ({error})",
            expected=f"the columns {', '.join(_COLUMNS)}",
            remedy="name a folder that this version's supcam evaluate wrote",
            where=path,
        ) from error
    return rows


def _numbers(rows: Sequence[dict[str, str]]) -> Float64[np.ndarray, "batch numbers"]:
    return np.array([[float(row[name]) for name in LOOK] for row in rows]).reshape(-1, len(LOOK))
