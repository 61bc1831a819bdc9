"""Can a network tell composed clusters from real ones? AUROC on unseen cases, with an interval by case.

    SUPCAM_DATA=... python benchmarks/realism.py --output benchmarks/results/realism.json

Real clusters of known count are harvested from the training cases of the annotated metaphases. Each gets a
composed partner from the same case, with the same count and about the same size. A small network learns to
tell them apart on one half of the cases and is scored on the other half; then the halves change places. Two
controls stand beside it: naive copy-paste, which it must find out, and single chromosomes drawn anew.
0.5 means that nothing gives a composition away.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from sklearn.metrics import roc_auc_score

from supcam.core.crop import network_input, normalise
from supcam.core.types import ClusterType, CompositionError, Region
from supcam.data.composition import Composed, Composer
from supcam.data.piece import Piece, Pose, cast, prepare
from supcam.learn.recipe import read_recipe
from supcam.learn.sources import PartsReader
from supcam.learn.stages import Stages, read_stages

MIX = {
    2: (0.0, 0.70, 0.30, 0.0),
    3: (0.0, 0.50, 0.10, 0.40),
    4: (0.0, 0.30, 0.0, 0.70),
    5: (0.0, 0.2, 0.0, 0.8),
}
"""Types of clusters by count, roughly as among the typed crops: instance is impossible."""
SIZE_TOLERANCE = 0.15
EPOCHS = 12


@dataclass(frozen=True, eq=False)
class Pair:
    """A real picture and its partner, from one case."""

    real: np.ndarray
    made: np.ndarray
    case: str


def long_side(picture: np.ndarray) -> int:
    """The longer side of what is stained, in pixels."""
    rows, columns = np.flatnonzero((picture > 0.3).any(axis=1)), np.flatnonzero((picture > 0.3).any(axis=0))
    return int(max(np.ptp(rows), np.ptp(columns))) + 1 if rows.size else 1


def partner(region: Region, composer: Composer, stages: Stages, rng: np.random.Generator) -> Pair | None:
    """``region`` with a composition of the same case, count and size; None when none turned up."""
    real = network_input(region, config=stages.crop)
    wanted = long_side(real)
    for _ in range(25):
        kind = ClusterType(int(rng.choice(4, p=MIX[region.n_chromosomes or 2])))
        try:
            made = composer.draw(rng, kind=kind, n_chromosomes=region.n_chromosomes).picture
        except CompositionError:
            continue
        if abs(long_side(made) / wanted - 1) <= SIZE_TOLERANCE:
            return Pair(real, made, region.case)
    return None


def pasted(region: Region, pieces: Sequence[Piece], stages: Stages, rng: np.random.Generator) -> Pair | None:
    """The naive control: bodies cut along their edge and pasted over each other at random, no stain added."""
    size = stages.crop.size_px
    canvas = np.zeros((size, size), np.float32)
    for piece in [pieces[i] for i in rng.integers(len(pieces), size=region.n_chromosomes)]:
        body = cast(piece, pose=Pose(stages.crop.width_px / piece.width_px, rng.uniform(0, 2 * np.pi)))
        rows, columns = body.core.shape
        if max(rows, columns) >= size:
            return None
        top = int(np.clip((size - rows) / 2 + rng.normal(0, 8), 0, size - rows))
        left = int(np.clip((size - columns) / 2 + rng.normal(0, 8), 0, size - columns))
        window = canvas[top : top + rows, left : left + columns]
        window[body.core] = body.stain[body.core]
    return Pair(network_input(region, config=stages.crop), normalise(canvas), region.case)


def redrawn(
    region: Region, piece: Piece, composer: Composer, stages: Stages, rng: np.random.Generator
) -> Pair:
    """A real single chromosome and the composer's drawing of one of the same case."""
    made: Composed = composer.compose([piece], relations=[], rng=rng)
    return Pair(network_input(region, config=stages.crop), made.picture, region.case)


def train_judge(pairs: Sequence[Pair], *, seed: int) -> torch.nn.Module:
    """A small network that has learnt to tell real (0) from made (1)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = timm.create_model("resnet10t", in_chans=1, num_classes=1, channels=(16, 32, 64, 96))
    pictures = torch.from_numpy(np.stack([p for pair in pairs for p in (pair.real, pair.made)]))[:, None]
    labels = torch.tensor([0.0, 1.0] * len(pairs))
    steps = EPOCHS * len(labels) // 32
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1)
    for _ in range(steps):
        chosen = torch.from_numpy(rng.integers(len(labels), size=32))
        batch = torch.rot90(pictures[chosen], int(rng.integers(4)), (2, 3))
        batch = batch.flip(3) if rng.integers(2) else batch
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(batch)[:, 0], labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def judge(network: torch.nn.Module, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The network's score for 'made', the mean over the eight turns of each picture."""
    batch = torch.from_numpy(np.stack(pictures))[:, None]
    turns = [torch.rot90(batch, k, (2, 3)) for k in range(4)]
    return torch.stack([network(t)[:, 0] for t in turns + [t.flip(3) for t in turns]]).mean(0).numpy()


def auroc(pairs: Sequence[Pair], *, seed: int) -> dict[str, float]:
    """AUROC on unseen cases (two halves, pooled as the mean), with a 95 % interval by case (bootstrap)."""
    cases = sorted({pair.case for pair in pairs})
    order = np.random.default_rng(seed).permutation(len(cases))
    first = {cases[i] for i in order[: len(cases) // 2]}
    scored: list[tuple[str, float, float]] = []
    for half in (True, False):
        learnt = [pair for pair in pairs if (pair.case in first) is half]
        unseen = [pair for pair in pairs if (pair.case in first) is not half]
        network = train_judge(learnt, seed=seed)
        real, made = judge(network, [p.real for p in unseen]), judge(network, [p.made for p in unseen])
        middle = float(np.median(np.concatenate([real, made])))
        scored += [
            (p.case, float(a) - middle, float(b) - middle) for p, a, b in zip(unseen, real, made, strict=True)
        ]
    low, high = _interval(scored, seed=seed)
    return {"pairs": len(pairs), "cases": len(cases), "auroc": _auroc(scored), "low": low, "high": high}


def _auroc(scored: Sequence[tuple[str, float, float]]) -> float:
    labels = [0] * len(scored) + [1] * len(scored)
    return float(roc_auc_score(labels, [s[1] for s in scored] + [s[2] for s in scored]))


def _interval(scored: Sequence[tuple[str, float, float]], *, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    by_case: dict[str, list[tuple[str, float, float]]] = {}
    for row in scored:
        by_case.setdefault(row[0], []).append(row)
    groups = list(by_case.values())
    values = [
        _auroc([row for i in rng.integers(len(groups), size=len(groups)) for row in groups[i]])
        for _ in range(500)
    ]
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def gather(seed: int, limit: int, config: Path) -> dict[str, list[Pair]]:
    """The three sets of pairs: composed clusters, naive clusters, redrawn singles."""
    rng = np.random.default_rng(seed)
    recipe = read_recipe(config)
    stages = read_stages(recipe)
    harvest = PartsReader(folder=config.parent).harvest(recipe, parts=["tseng24:train"])
    by_case: dict[str, list[Piece]] = {}
    for region in harvest.singles:
        piece = prepare(region, config=stages.recipe.foreground)
        if piece is not None:
            by_case.setdefault(region.case, []).append(piece)
    settings = stages.composition.model_copy(update={"scale_jitter": 0.0, "source_shares": {}})
    composers = {
        case: Composer(pieces, config=settings, crop=stages.crop)
        for case, pieces in by_case.items()
        if len(pieces) >= 8
    }
    clusters = [r for r in harvest.clusters if r.case in composers and (r.n_chromosomes or 0) in MIX]
    chosen = [clusters[i] for i in rng.permutation(len(clusters))[:limit]]
    pairs = [partner(region, composers[region.case], stages, rng) for region in chosen]
    naive = [pasted(region, by_case[region.case], stages, rng) for region in chosen]
    singles = [r for r in harvest.singles if r.case in composers]
    lone = [singles[i] for i in rng.permutation(len(singles))[:limit]]
    single = [
        redrawn(r, by_case[r.case][int(rng.integers(len(by_case[r.case])))], composers[r.case], stages, rng)
        for r in lone
    ]
    return {
        "composed": [pair for pair in pairs if pair is not None],
        "naive copy-paste": [pair for pair in naive if pair is not None],
        "single redrawn": single,
    }


def draw_sheet(pairs: Sequence[Pair], path: Path) -> None:
    """Real clusters in the odd rows, their partners below them."""
    rows = []
    for first in range(0, min(len(pairs), 60), 12):
        line = pairs[first : first + 12]
        rows += [np.hstack([p.real for p in line]), np.hstack([p.made for p in line])]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((2, 2), (0, width - row.shape[1]))) for row in rows]
    cv2.imwrite(str(path), np.clip(255 * 10 ** (-0.45 * np.vstack(rows)), 0, 255).astype(np.uint8))


def main() -> None:
    """Draws the pairs, trains the judges, writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("experiments/default/first_base.toml"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--sheets", type=Path, help="folder for contact sheets to look at (never commit them)"
    )
    parser.add_argument("--limit", type=int, default=900)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sets = gather(options.seed, options.limit, options.config)
    report = {}
    for name, pairs in sets.items():
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            draw_sheet(pairs, options.sheets / f"{name.replace(' ', '_')}.png")
        report[name] = auroc(pairs, seed=options.seed)
        print(name, report[name], flush=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
