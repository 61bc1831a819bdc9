"""Decisions for tests: an export of drawn crops, and a tiny trainable model to start from."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tests.stirred import stirred

from supcam.core.types import ClusterType
from supcam.data.synthesis import draw_cluster, to_grey
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.pack.card import Calibration, CardText, HeadsTrained
from supcam.pack.export import ExportPlan, export_network

NUMBERS = {ClusterType.INSTANCE: 1, ClusterType.TOUCHING: 2, ClusterType.OVERLAPPING: 2}


def drawn_png(seed: int, *, kind: ClusterType) -> bytes:
    """A drawn object as a PNG file."""
    rng = np.random.default_rng(seed)
    stain = draw_cluster(rng, type=kind, n_chromosomes=NUMBERS[kind]).stain
    return cv2.imencode(".png", to_grey(np.pad(stain, 12), rng=rng))[1].tobytes()


def write_export(path: Path, *, n_cases: int = 6, n_each: int = 8) -> Path:
    """``path``, now a ZIP as the service exports it: in each case singles, two clusters, one rejected."""
    labels, rejected, origins = [], [], []
    kinds = [ClusterType.TOUCHING, ClusterType.OVERLAPPING] + [ClusterType.INSTANCE] * (n_each - 2)
    with zipfile.ZipFile(path, "w") as archive:
        for case in range(n_cases):
            for index, kind in enumerate(kinds):
                place = f"{int(kind)}/{case}_{index}.png"
                archive.writestr(place, drawn_png(100 * case + index, kind=kind))
                labels.append((place, kind.label, NUMBERS[kind], f"K-{case}", "decisions"))
                origins.append((place, f"{case}-{index}", f"K-{case}", kind.label, NUMBERS[kind],
                                "ann", "2026-01-01", "1.0", "0" * 64))  # fmt: skip
            place = f"rejected/{case}.png"
            archive.writestr(place, drawn_png(5000 + case, kind=ClusterType.INSTANCE))
            rejected.append((place, f"K-{case}", "ann"))
        archive.writestr("labels.csv", _csv(("path", "type", "n_chromosomes", "case", "source"), labels))
        archive.writestr("rejected.csv", _csv(("path", "case", "reviewer"), rejected))
        header = ("path", "object_id", "case", "type", "n_chromosomes", "reviewer", "decided_at",
                  "model_version", "model_sha256")  # fmt: skip
        archive.writestr("decisions.csv", _csv(header, origins))
    return path


def _csv(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def trainable_bundle(folder: Path) -> Path:
    """``folder``, now a bundle of a tiny network with its configuration, its norm layers not at rest."""
    recipe = Recipe.model_validate(
        {
            "network": {"backbone": "resnet10t", "channels": [8, 8, 8, 8], "max_count": 5},
            "crop": {"size_px": 32, "width_px": 4.0},
        }
    )
    network = stirred(Network(recipe.network, seed=2))
    text = CardText(
        name="tiny",
        version="1.0.0",
        all_sides_below=0.5,
        heads_trained=HeadsTrained(chromosome=True),
        crop=recipe.crop,
        network=recipe.network.model_dump(mode="json"),
    )
    plan = ExportPlan(calibration=Calibration(accept_threshold=0.2, chromosome_threshold=0.3))
    export_network(network.eval().requires_grad_(False), output=folder, text=text, plan=plan)
    return folder
