"""Crops of a made-up laboratory on disk: drawn single chromosomes and pairs, in cases, with their table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from supcam.core.types import ClusterType
from supcam.data.synthesis import draw_chromosome, draw_cluster, draw_preparation, to_grey

HEADER = "path,case,type,n_chromosomes\n"


def write_laboratory(folder: Path, *, roles: Mapping[str, str], n_singles: int = 8) -> None:
    """Single chromosomes and a touching pair of each case in ``folder/data``, and ``folder/roles.csv``."""
    data = folder / "data"
    data.mkdir()
    rows = []
    for case in roles:
        rng = np.random.default_rng([7, ord(case)])
        slide = draw_preparation(rng)
        for i in range(n_singles):
            write_grey(data / f"{case}{i}.png", draw_chromosome(rng, preparation=slide).stain, rng=rng)
            rows.append(f"{case}{i}.png,{case},instance,1")
        cluster = draw_cluster(rng, type=ClusterType.TOUCHING, n_chromosomes=2, preparation=slide)
        write_grey(data / f"{case}9.png", cluster.stain, rng=rng)
        rows.append(f"{case}9.png,{case},touching,2")
    (data / "labels.csv").write_text(HEADER + "\n".join(rows) + "\n")
    lines = [f"lab,{case},{role}" for case, role in roles.items()]
    (folder / "roles.csv").write_text("\n".join(["source,case,role", *lines]) + "\n")


def write_grey(path: Path, stain: np.ndarray, *, rng: np.random.Generator) -> None:
    """``path``, a PNG of dark stain on bright ground."""
    done, content = cv2.imencode(".png", to_grey(np.pad(stain, 12), rng=rng))
    assert done
    path.write_bytes(content.tobytes())
