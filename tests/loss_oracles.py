"""Samples to try the contrastive losses on; the losses once more, with plain loops over plain numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from supcam.learn.config import ContrastConfig
from supcam.learn.key_queue import References
from supcam.learn.losses import ContrastTerms, contrastive_loss, in_batch_loss

Vector = Sequence[float]

TYPES = [0, 1, 3, -1, 2, 1, 0, -1]
"""Two pairs, two samples that have no equal in the batch, two of unknown type."""
REFERENCE_TYPES = [1, 0, -1, 2, 1, 1, 0, 2, -1, 1]
"""No reference is of type 3; two slots are empty."""


def vectors(n: int, *, seed: int, dim: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    """Unit vectors in all directions: in three dimensions many of them are nearly opposite."""
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64), dim=1).to(dtype)


def drawn_references(
    types: list[int] = REFERENCE_TYPES, *, dim: int = 3, dtype: torch.dtype = torch.float64
) -> References:
    """Keys in all directions; the same ones for the same number of them."""
    keys = vectors(len(types), seed=3, dim=dim, dtype=dtype)
    return References(keys=keys, types=torch.tensor(types, dtype=torch.int64))


def loss_of(
    queries: Tensor,
    keys: Tensor,
    *,
    config: ContrastConfig,
    types: list[int] = TYPES,
    references: References | None = None,
) -> ContrastTerms:
    """The loss of ``config.method``, against ``drawn_references`` unless others are given."""
    if config.method == "in_batch":
        return in_batch_loss(queries, keys, types=torch.tensor(types), config=config)
    references = references or drawn_references(dim=queries.shape[1], dtype=queries.dtype)
    return contrastive_loss(queries, keys, types=torch.tensor(types), references=references, config=config)


@dataclass(frozen=True, slots=True)
class Anchor:
    """One query with its own key, and what it is compared with."""

    query: Vector
    own_key: Vector
    positives: list[Vector]
    negatives: list[Vector]


def angle(one: Vector, other: Vector) -> float:
    """The angle between two vectors of any length, in radians."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return math.acos(max(-1.0, min(1.0, product / (math.hypot(*one) * math.hypot(*other)))))


def score(theta: float, *, margin: float, temperature: float) -> float:
    """s of an angle; beyond pi - m ArcFace's straight continuation."""
    if theta + margin < math.pi:
        return math.cos(theta + margin) / temperature
    return (math.cos(theta) - margin * math.sin(margin)) / temperature


def anchor_terms(anchor: Anchor, *, config: ContrastConfig) -> tuple[float, float, float]:
    """The loss of one anchor, its own key's term and its positives' mean term (0 without positives)."""

    def scores(keys: list[Vector], *, with_margin: bool) -> list[float]:
        margin = config.margin_rad if with_margin else 0.0
        angles = [angle(anchor.query, key) for key in keys]
        return [score(theta, margin=margin, temperature=config.temperature) for theta in angles]

    [own] = scores([anchor.own_key], with_margin=config.margin_target != "none")
    positives = scores(anchor.positives, with_margin=config.margin_target == "positives")
    negatives = scores(anchor.negatives, with_margin=False)

    def term(pulled: float) -> float:
        below = [own, *positives, *negatives] if config.denominator == "all" else [pulled, *negatives]
        return math.log(sum(math.exp(value) for value in below)) - pulled

    if not positives:
        return term(own), term(own), 0.0
    mean = sum(term(value) for value in positives) / len(positives)
    alpha = 1 / (1 + len(positives)) if config.alpha == "uniform" else float(config.alpha)
    return alpha * term(own) + (1 - alpha) * mean, term(own), mean


def expected_terms(anchors: list[Anchor], *, config: ContrastConfig) -> list[float]:
    """Total, own, positives and number of positives, as ``ContrastTerms`` has them."""
    terms = [anchor_terms(anchor, config=config) for anchor in anchors]
    with_positives = [mean for anchor, (_, _, mean) in zip(anchors, terms, strict=True) if anchor.positives]
    return [
        _mean([total for total, _, _ in terms]),
        _mean([own for _, own, _ in terms]),
        _mean(with_positives),
        _mean([len(anchor.positives) for anchor in anchors]),
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def queue_anchors(
    queries: Tensor, own_keys: Tensor, *, types: list[int], references: References
) -> list[Anchor]:
    """The anchors of method ``queue``."""
    filled = [(key, kind) for key, kind in zip(*_lists(references), strict=True) if kind != -1]
    return [
        Anchor(
            query=query,
            own_key=own_key,
            positives=[key for key, kind in filled if kind == type_],
            negatives=[key for key, kind in filled if kind != type_],
        )
        for query, own_key, type_ in zip(queries.tolist(), own_keys.tolist(), types, strict=True)
        if type_ != -1
    ]


def moco_anchors(queries: Tensor, own_keys: Tensor, *, references: References) -> list[Anchor]:
    """The anchors of method ``moco``."""
    filled: list[Vector] = [key for key, kind in zip(*_lists(references), strict=True) if kind != -1]
    pairs = zip(queries.tolist(), own_keys.tolist(), strict=True)
    return [Anchor(query=query, own_key=key, positives=[], negatives=filled) for query, key in pairs]


def in_batch_anchors(queries: Tensor, keys: Tensor, *, types: list[int]) -> list[Anchor]:
    """The anchors of method ``in_batch``: every view of every sample whose type is known."""
    known = [i for i, type_ in enumerate(types) if type_ != -1]
    anchors = []
    for views, others in ((queries.tolist(), keys.tolist()), (keys.tolist(), queries.tolist())):
        for i in known:
            near = [j for j in known if j != i and types[j] == types[i]]
            far = [j for j in known if types[j] != types[i]]
            anchors.append(
                Anchor(
                    query=views[i],
                    own_key=others[i],
                    positives=[side[j] for j in near for side in (views, others)],
                    negatives=[side[j] for j in far for side in (views, others)],
                )
            )
    return anchors


def _lists(references: References) -> tuple[list[list[float]], list[int]]:
    return references.keys.tolist(), references.types.tolist()


def every_config() -> Iterator[ContrastConfig]:
    """Every contrastive method with every margin target, denominator and kind of alpha."""
    for method, target, denominator, alpha in itertools.product(
        ("queue", "moco", "in_batch"),
        ("own", "positives", "none"),
        ("others", "all"),
        (0.0, 0.3, 1.0, "uniform"),
    ):
        yield ContrastConfig.model_validate(
            {
                "method": method,
                "margin_target": target,
                "denominator": denominator,
                "alpha": alpha,
                "margin_rad": 0.7,
                "temperature": 0.3,
            }
        )
