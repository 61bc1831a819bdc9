"""A small drawn folder in ChrCluster's layout, and a recipe that learns from it in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from tests.tiny_recipe import NETWORK, SCHEDULE

from supcam.core.types import ClusterType
from supcam.data.synthesis import draw_chromosome, draw_cluster, draw_preparation, to_grey

CASES = 12
PER_CASE = {0: 2, 1: 1, 2: 1, 3: 1}
"""Pictures of a case in each numbered folder."""
N_DRAWN = CASES * sum(PER_CASE.values())

RECIPE = f"""{NETWORK}
[pretrain]
queue_slots = 16
hidden_dim = 16
projection_dim = 8
STEP

[train]
STEP

[data]
typed_clusters = true
single_share = 0.2
cluster_share = 0.4
debris_share = 0.0
"""


def write_recipe(path: Path, *, more: str = "") -> Path:
    """``path``, where the recipe of two tiny steps lies now; ``more`` are further lines of ``[data]``."""
    path.write_text(RECIPE.replace("STEP", f"{SCHEDULE}learning_rate = 1e-2\nlog_every_steps = 2") + more)
    return path


def draw_folder(root: Path, *, cased: bool = True) -> Path:
    """``root`` with twelve drawn cases; their pictures' names tell the case, or do not."""
    number = 0
    for case in range(CASES):
        rng = np.random.default_rng([1, case])
        slide = draw_preparation(rng)
        for folder, n in PER_CASE.items():
            (root / str(folder)).mkdir(parents=True, exist_ok=True)
            for _ in range(n):
                kind = ClusterType(folder)
                count = {0: 1, 1: 2, 2: 2, 3: 3}[folder]
                drawn = (
                    draw_chromosome(rng, preparation=slide)
                    if kind is ClusterType.INSTANCE
                    else draw_cluster(rng, type=kind, n_chromosomes=count, preparation=slide)
                )
                number += 1
                name = f"{100 + case}_{number}.png" if cased else f"picture{number}.png"
                picture = to_grey(np.pad(drawn.stain, 8), rng=rng)
                assert cv2.imwrite(str(root / str(folder) / name), picture)
    return root
