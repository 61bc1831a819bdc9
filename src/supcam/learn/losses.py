"""Contrastive losses with the self-margin: pure functions of unit vectors and types.

An anchor i is a query with its own key, the other view of its picture. With theta the angle between the
anchor and a key a, margin m and temperature tau:

    s(a) = cos(theta + m [a in margin target]) / tau
    l(a) = -log( exp s(a) / (exp s(a) + sum over negatives n of exp s(n)) )
    L_i  = alpha l(own key) + (1 - alpha) mean over positives p of l(p)

Positives are references of the anchor's type, negatives those of other types. The loss is the mean over the
anchors. The paper's abstract names an angular margin in the instance contrastive loss and no formula: the one
above is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from supcam.learn.batches import UNKNOWN
from supcam.learn.config import ContrastConfig
from supcam.learn.key_queue import References
from supcam.learn.margin import cosine_with_margin

Scalar = Float[Tensor, ""]


class ContrastTerms(NamedTuple):
    """The loss and what it is made of, each a mean over the anchors; float32 (float64 for float64 vectors).

    ``own`` is the own keys' term and ``positives`` the positives' one, over the anchors that have any, both
    before ``alpha`` weighs them; ``n_positives`` is their number. Without any anchor all are 0, with a graph.
    """

    total: Scalar
    own: Scalar
    positives: Scalar
    n_positives: Scalar


def contrastive_loss(
    queries: Float[Tensor, "batch dim"],
    own_keys: Float[Tensor, "batch dim"],
    *,
    types: Int64[Tensor, " batch"],
    references: References,
    config: ContrastConfig,
) -> ContrastTerms:
    """The loss of queries against their own keys and ``references``: methods ``queue`` and ``moco``.

    ``queue`` leaves out queries of unknown type (-1). ``moco`` looks at no type: every query is an anchor
    without positives, every reference is a negative (He et al., 2020). A reference of type -1 is an empty
    slot and never counts.
    """
    filled = (references.types != UNKNOWN).expand(len(types), -1)
    same = types[:, None] == references.types
    if config.method == "moco":
        same, types = torch.zeros_like(same), torch.zeros_like(types)
    contrast = _Contrast(
        anchors=queries,
        own_keys=own_keys,
        references=references.keys,
        positive=filled & same,
        negative=filled & ~same,
        counted=types != UNKNOWN,
    )
    return _mean_terms(contrast, config=config)


def in_batch_loss(
    queries: Float[Tensor, "batch dim"],
    keys: Float[Tensor, "batch dim"],
    *,
    types: Int64[Tensor, " batch"],
    config: ContrastConfig,
) -> ContrastTerms:
    """The loss of both views against each other, with gradient through both: method ``in_batch``.

    As in Khosla et al. (2020) every view of every sample is an anchor, the other view its own key, and all
    views of the other samples are its references. Samples of unknown type (-1) are neither.
    """
    views, types = torch.cat([queries, keys]), types.repeat(2)
    sample = torch.arange(len(queries), device=types.device).repeat(2)
    another = (sample[:, None] != sample) & (types != UNKNOWN)
    same = types[:, None] == types
    contrast = _Contrast(
        anchors=views,
        own_keys=torch.cat([keys, queries]),
        references=views,
        positive=another & same,
        negative=another & ~same,
        counted=types != UNKNOWN,
    )
    return _mean_terms(contrast, config=config)


@dataclass(frozen=True, slots=True, eq=False)
class _Contrast:
    """Who is compared with whom: anchors that count, and what each reference is to each of them."""

    anchors: Float[Tensor, "anchors dim"]
    own_keys: Float[Tensor, "anchors dim"]
    references: Float[Tensor, "references dim"]
    positive: Bool[Tensor, "anchors references"]
    negative: Bool[Tensor, "anchors references"]
    counted: Bool[Tensor, " anchors"]


class _Scores(NamedTuple):
    """s(a) of every pair: own keys, and references as positives and as negatives."""

    own: Float[Tensor, " anchors"]
    positives: Float[Tensor, "anchors references"]
    negatives: Float[Tensor, "anchors references"]


class _Losses(NamedTuple):
    """l(a) of every pair; what is no positive has a value too, which nobody reads."""

    own: Float[Tensor, " anchors"]
    positives: Float[Tensor, "anchors references"]


def _mean_terms(contrast: _Contrast, *, config: ContrastConfig) -> ContrastTerms:
    with torch.autocast(contrast.anchors.device.type, enabled=False):
        losses = _losses(_scores(contrast, config=config), contrast=contrast, config=config)
    n_positives = contrast.positive.sum(dim=1).to(losses.own)
    positives = losses.positives.where(contrast.positive, 0).sum(dim=1) / n_positives.clamp(min=1)
    own_share = _own_share(n_positives, config=config)
    total = own_share * losses.own + (1 - own_share) * positives
    return ContrastTerms(
        total=_mean(total, over=contrast.counted),
        own=_mean(losses.own, over=contrast.counted),
        positives=_mean(positives, over=contrast.counted & (n_positives > 0)),
        n_positives=_mean(n_positives, over=contrast.counted),
    )


def _scores(contrast: _Contrast, *, config: ContrastConfig) -> _Scores:
    anchors, own_keys, references = map(_unit, (contrast.anchors, contrast.own_keys, contrast.references))
    own, others = (anchors * own_keys).sum(dim=1), anchors @ references.T
    own_margin = 0.0 if config.margin_target == "none" else config.margin_rad
    margin = config.margin_rad if config.margin_target == "positives" else 0.0
    return _Scores(
        own=cosine_with_margin(own, margin_rad=own_margin) / config.temperature,
        positives=cosine_with_margin(others, margin_rad=margin) / config.temperature,
        negatives=others / config.temperature,
    )


def _unit(vectors: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
    """The vectors in float32 at least, of unit length once more: what had been rounded is a little off it."""
    return functional.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=1)


def _losses(scores: _Scores, *, contrast: _Contrast, config: ContrastConfig) -> _Losses:
    negatives = _log_sum_exp(scores.negatives, over=contrast.negative)
    if config.denominator == "others":
        return _Losses(
            own=-functional.logsigmoid(scores.own - negatives),
            positives=-functional.logsigmoid(scores.positives - negatives[:, None]),
        )
    positives = _log_sum_exp(scores.positives, over=contrast.positive)
    below = torch.stack([scores.own, positives, negatives]).logsumexp(dim=0)
    return _Losses(own=below - scores.own, positives=below[:, None] - scores.positives)


def _log_sum_exp(
    scores: Float[Tensor, "anchors references"], *, over: Bool[Tensor, "anchors references"]
) -> Float[Tensor, " anchors"]:
    """The log of the sum of exp; of nothing, the lowest number there is, since -inf has no gradient."""
    lowest = torch.finfo(scores.dtype).min
    return functional.pad(scores.masked_fill(~over, lowest), (1, 0), value=lowest).logsumexp(dim=1)


def _own_share(
    n_positives: Float[Tensor, " anchors"], *, config: ContrastConfig
) -> Float[Tensor, " anchors"]:
    """The alpha of every anchor: 1 where there are no positives."""
    if config.alpha == "uniform":
        return 1 / (1 + n_positives)
    return torch.full_like(n_positives, config.alpha).where(n_positives > 0, 1)


def _mean(values: Float[Tensor, " anchors"], *, over: Bool[Tensor, " anchors"]) -> Scalar:
    """The mean over some of the values, 0 over none; those left out get no gradient."""
    return values.where(over, 0).sum() / over.sum().clamp(min=1)
