"""Pictures unlike those that the model knows: which score tells them, and where they go.

    python benchmarks/unfamiliar.py --data "$SUPCAM_DATA" --output benchmarks/results/unfamiliar.json

Known are the typed crops of the select role and the objects of thirty of its metaphases; what a reference
needs is fitted on crops of the first laboratory, which the network learnt from. Strange are patches of
natural pictures and of tissue, text, drawn nuclei and dirt, evenly stained chromosomes, noise, and the same
crops out of focus or inverted. AUROC of every score by kind, and the share of each kind that the bundled
model would accept, send to review, or refuse because it holds no object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from jaxtyping import Float64, UInt8
from sklearn.datasets import load_sample_image

from supcam.core.crop import Square, network_input
from supcam.core.image import read_grey
from supcam.core.look import look_of
from supcam.core.types import Decision, ImageError
from supcam.data.clutter import draw_debris, draw_nucleus
from supcam.data.harvest import harvest_metaphases
from supcam.data.sources import read_cci, read_tseng_crops, read_tseng_metaphases
from supcam.data.split import read_roles
from supcam.measure.familiarity import KnownLooks, fit_familiarity
from supcam.measure.metrics import auroc
from supcam.pack.bundle import Model, load_model
from supcam.pack.folder import Outputs

Grey = UInt8[np.ndarray, "rows columns"]
Scores = Float64[np.ndarray, " batch"]
NATURAL = ("astronaut", "camera", "chelsea", "coffee", "rocket", "moon", "brick", "grass", "gravel", "coins")
TISSUE = ("cell", "immunohistochemistry", "retina", "microaneurysms")
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
N_METAPHASES = 30
SEED = 0


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures as the network sees them, what it says of them, and how many held no object."""

    squares: list[Square]
    outputs: Outputs
    n_refused: int = 0


def see(pictures: list[Grey] | list[Path], *, model: Model) -> Seen:
    """What the model sees of crops."""
    squares, refused = [], 0
    for picture in pictures:
        try:
            squares.append(model.prepare(picture))
        except ImageError:
            refused += 1
    return Seen(squares, model.logits(np.stack(squares)[:, None]), refused)


def patches(picture: np.ndarray, *, n: int, rng: np.random.Generator) -> Iterator[Grey]:
    """Random squares of a picture, in grey."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    for _ in range(n):
        side = int(rng.integers(80, min(250, *grey.shape)))
        top, left = (int(rng.integers(0, length - side + 1)) for length in grey.shape)
        yield grey[top : top + side, left : left + side].copy()


def written(rng: np.random.Generator) -> Grey:
    """A few drawn letters."""
    page = np.full((120, 160), 235, np.uint8)
    word = "".join(rng.choice(LETTERS, int(rng.integers(1, 8))))
    font, size = int(rng.choice(FONTS)), float(rng.uniform(0.8, 1.8))
    cv2.putText(page, word, (10, 75), font, size, (40,), int(rng.integers(1, 5)), cv2.LINE_AA)
    return cv2.GaussianBlur(page, (0, 0), 0.7).astype(np.uint8)


def photographed(stain: np.ndarray, *, rng: np.random.Generator) -> Grey:
    """Drawn stain on a bright background with a little noise."""
    light = 230 * 10.0 ** -np.pad(stain, 20)
    return np.clip(light + rng.normal(0, 2, light.shape), 0, 255).astype(np.uint8)


def evenly_stained(crop: Grey) -> Grey:
    """The crop with one grey value all over its body: a stain without bands."""
    even = crop.copy()
    body = crop < 200
    if body.any():
        even[body] = np.median(crop[body])
    return cv2.GaussianBlur(even, (0, 0), 1).astype(np.uint8)


def strange_pictures(crops: list[Grey], *, rng: np.random.Generator) -> dict[str, list[Grey]]:
    """Pictures of every kind."""
    natural = [getattr(skimage.data, name)() for name in NATURAL]
    natural += [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    tissue = [getattr(skimage.data, name)() for name in TISSUE]
    pages = [skimage.data.page(), skimage.data.text()]
    nuclei = [draw_nucleus(rng, diameter_px=rng.uniform(40, 120), stain_level=0.35) for _ in range(80)]
    debris = [draw_debris(rng, size_px=rng.uniform(8, 40), stain_level=0.45) for _ in range(80)]
    even = np.full((100, 100), 220.0)
    return {
        "natural pictures": [p for each in natural for p in patches(each, n=8, rng=rng)],
        "text": [written(rng) for _ in range(80)] + [p for g in pages for p in patches(g, n=20, rng=rng)],
        "other cells: tissue": [p for each in tissue for p in patches(each, n=20, rng=rng)],
        "other cells: drawn nuclei": [photographed(each.stain, rng=rng) for each in nuclei],
        "drawn dirt": [photographed(each.stain, rng=rng) for each in debris],
        "blank, with noise": [
            np.clip(rng.normal(even, noise), 0, 255).astype(np.uint8) for noise in (0, 1, 3, 6, 10, 20) * 10
        ],
        "other stain: no bands": [evenly_stained(crop) for crop in crops],
        "inverted": [np.asarray(255 - crop, np.uint8) for crop in crops],
        **{
            f"out of focus, blur of {sigma} px": [
                cv2.GaussianBlur(crop, (0, 0), sigma).astype(np.uint8) for crop in crops
            ]
            for sigma in (1, 2, 3, 4, 6)
        },
    }


def scores_by(reference: Seen) -> dict[str, Callable[[Seen], Scores]]:
    """Every score that was tried; more means stranger."""
    types = np.argmax(reference.outputs.type_logits, axis=1)
    features = reference.outputs.embedding.astype(np.float64)
    looks = np.stack([look_of(square) for square in reference.squares])
    known = KnownLooks(looks=looks, types=types, roles=("train",) * len(looks))
    by_look = fit_familiarity(known, held_out=known).reference
    means = np.stack([features[types == kind].mean(axis=0) for kind in range(4)])
    spread = features.var(axis=0) + 1e-3 * features.var()

    def by_feature(seen: Seen) -> Scores:
        apart = seen.outputs.embedding[:, None].astype(np.float64) - means[None]
        return np.asarray((apart**2 / spread).sum(axis=2).min(axis=1))

    return {
        "1 - highest probability": lambda s: 1 - _softmax(s.outputs.type_logits).max(axis=1),
        "energy": lambda s: -np.log(np.exp(s.outputs.type_logits.astype(np.float64)).sum(axis=1)),
        "highest logit": lambda s: -s.outputs.type_logits.max(axis=1).astype(np.float64),
        "chromosome-or-not head": lambda s: -s.outputs.chromosome_logit[:, 0].astype(np.float64),
        "features, Mahalanobis (diagonal)": by_feature,
        "looks, Mahalanobis": lambda s: by_look.unfamiliarity(np.stack([look_of(q) for q in s.squares])),
    }


def _softmax(logits: np.ndarray) -> Float64[np.ndarray, "batch 4"]:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def where_to(seen: Seen, *, model: Model) -> dict[str, float | int]:
    """What the model does with pictures: shares of all that were shown."""
    n = len(seen.squares) + seen.n_refused
    read = model.predict_squares(seen.squares)
    reviewed = sum(each.decision is Decision.REVIEW for each in read)
    strange = sum((each.unfamiliarity or 0) > 1 for each in read)
    return {
        "n": n,
        "refused_as_empty": seen.n_refused / n,
        "unfamiliar": strange / n,
        "review": reviewed / n,
        "accepted": (len(read) - reviewed) / n,
    }


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    model, rng = load_model(given.model, threads=1), np.random.default_rng(SEED)
    roles = read_roles(Path("experiments/roles.csv"))
    paths = [s.path for s in roles.pick(read_tseng_crops(given.data).samples, roles=["select"])]
    crops = [read_grey(path, config=model.image).pixels for path in paths]
    metaphases = roles.pick(read_tseng_metaphases(given.data).pictures, roles=["select"])
    squares = [model.prepare(path) for path in paths]
    for index in rng.permutation(len(metaphases))[:N_METAPHASES]:
        found = harvest_metaphases([metaphases[index]], image=model.image, foreground=model.card.foreground)
        squares += [network_input(r, config=model.card.crop) for r in (*found.singles, *found.clusters)]
    known = {
        "select: typed crops": see(paths, model=model),
        "select: all": Seen(squares, model.logits(np.stack(squares)[:, None])),
    }
    strange = {
        name: see(pictures, model=model) for name, pictures in strange_pictures(crops, rng=rng).items()
    }
    familiar = model.calibration.familiar
    assert familiar is not None
    shipped = familiar.reference()
    reference = see([s.path for s in read_cci(given.data).samples if s.type is not None], model=model)
    report: dict[str, object] = {"model": f"{model.card.name} {model.card.version}", "seed": SEED}
    report["known"] = {name: where_to(seen, model=model) for name, seen in known.items()}
    tried = scores_by(reference) | {
        "looks, as the model came with them": lambda s: shipped.unfamiliarity(
            np.stack([look_of(square) for square in s.squares])
        )
    }
    report["strange"] = {
        name: where_to(seen, model=model)
        | {"auroc": {score: _auroc(of(known["select: all"]), of(seen)) for score, of in tried.items()}}
        for name, seen in strange.items()
    }
    given.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def _auroc(known: Scores, strange: Scores) -> float:
    positive = np.arange(len(known) + len(strange)) >= len(known)
    return round(auroc(np.concatenate([known, strange]), positive=positive), 4)


if __name__ == "__main__":
    main()
