"""Step 1: supervised contrastive learning with a momentum encoder, a typed queue and the self-margin loss.

Luo et al. (2023) name the parts; how they are put together is our choice. In every step: two views of each
picture, queries from the encoder, keys from the momentum encoder, the loss against the queue, the keys into
the queue, a step of the encoder, and the momentum encoder after it (He et al., 2020).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any, Self

import lightning
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from supcam.learn.averaging import blend_into, young_share
from supcam.learn.batches import Batch, PairBatch
from supcam.learn.classification import type_cross_entropy
from supcam.learn.config import PretrainConfig
from supcam.learn.encoder import PretrainingNetwork
from supcam.learn.history import write_scores
from supcam.learn.key_queue import KeyQueue
from supcam.learn.losses import ContrastTerms, contrastive_loss, in_batch_loss
from supcam.learn.nearest_mean import TypeMeans
from supcam.learn.optimizer import adamw, parameter_groups
from supcam.learn.ranks import of_all_ranks
from supcam.learn.scores import Answers, Scores, score
from supcam.learn.stepping import begin_step, require_finite, shorten_gradient

_METHODS_WITH_QUEUE = ("queue", "moco")


class Pretraining(lightning.LightningModule):
    """Trains ``network`` (f) by contrast, and keeps its averaged weights in ``average``: step 2 begins there.

    ``key_encoder`` (g) follows f slowly and makes the keys that ``queue`` holds. It takes no gradient and is
    always in eval mode, so that a key does not depend on its batch; running statistics follow like weights.
    Both are there for the methods ``queue`` and ``moco`` alone.

    The first validation loader holds examples of the training source that are never learnt from: by the mean
    of their embeddings the types of the sets ``validation_names`` are read. ``terms`` are those of the last
    step: the loss; the terms of own keys and of positives; |Q+|; the gradient's length over all weights, and
    that of the own keys' term over the queries; the momentum. What a method does not have is NaN.
    """

    term_names = ("total", "own", "positives", "n_positives", "gradient", "own_gradient", "momentum")

    def __init__(
        self, network: PretrainingNetwork, *, config: PretrainConfig, validation_names: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.config = config
        self.key_encoder: PretrainingNetwork | None = None
        if config.method in _METHODS_WITH_QUEUE:
            self.key_encoder = copy.deepcopy(network).requires_grad_(False).eval()
            self.queue = KeyQueue(slots=config.queue_slots, dim=config.projection_dim)
        self.validation_names = tuple(validation_names)
        self.terms: dict[str, Tensor] = {}
        self.scores: dict[str, Scores] = {}
        self._seen: list[list[tuple[Tensor, Batch]]] = []

    @override
    def train(self, mode: bool = True) -> Self:
        """Training mode, but for the key encoder."""
        super().train(mode)
        if self.key_encoder is not None:
            self.key_encoder.eval()
        return self

    @override
    def configure_optimizers(self) -> Any:
        """AdamW on the encoder and its head, with the rate of ``rate_share``."""
        groups = parameter_groups(self.network, weight_decay=self.config.weight_decay)
        return adamw(groups, config=self.config)

    @override
    def on_train_batch_start(self, batch: PairBatch, batch_idx: int) -> None:
        """The step's own randomness. Raises ``TrainingError`` when the batch is not that of the step."""
        begin_step(batch.step, step=self.global_step, seed=self.config.seed)

    @override
    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """The loss of one batch by the configured method. Raises ``TrainingError`` when it is not finite."""
        methods = {"in_batch": self.in_batch_terms, "cross_entropy": self.cross_entropy_terms}
        terms = methods.get(self.config.method, self.queue_terms)(batch)
        require_finite(terms["total"], step=batch.step)
        momentum = math.nan if self.key_encoder is None else self.momentum_at(self.global_step)
        unknown = {name: terms["total"].new_tensor(math.nan) for name in self.term_names}
        self.terms = unknown | {name: value.detach() for name, value in terms.items()}
        self.terms["momentum"] = terms["total"].new_tensor(momentum)
        self.log("loss", self.terms["total"], prog_bar=True, logger=False, batch_size=len(batch.types))
        return terms["total"]

    def queue_terms(self, batch: PairBatch) -> dict[str, Tensor]:
        """Queries against their own keys and the queue, which then takes up the keys.

        The loss is that of the pictures of all ranks, on every rank.
        """
        types = torch.zeros_like(batch.types) if self.config.method == "moco" else batch.types
        queries, keys = of_all_ranks(self.network(batch.queries)), self.keys_of(batch.keys)
        terms = contrastive_loss(
            queries,
            of_all_ranks(keys),
            types=of_all_ranks(types),
            references=self.queue.references(),
            config=self.config,
        )
        self.queue.enqueue(keys, types=types)
        return _told(terms, queries=queries)

    @torch.no_grad()
    def keys_of(self, pictures: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch dim"]:
        """The momentum encoder's unit vectors; no gradient, and nothing of the rest of the batch in them."""
        assert self.key_encoder is not None
        return torch.as_tensor(self.key_encoder(pictures))

    def in_batch_terms(self, batch: PairBatch) -> dict[str, Tensor]:
        """Both views through the encoder, against each other; neither queue nor momentum encoder."""
        views = self.network(torch.cat([batch.queries, batch.keys]))
        queries, keys = (of_all_ranks(part) for part in views.chunk(2))
        terms = in_batch_loss(queries, keys, types=of_all_ranks(batch.types), config=self.config)
        return _told(terms, queries=queries)

    def cross_entropy_terms(self, batch: PairBatch) -> dict[str, Tensor]:
        """No contrast: the first view's type by name, so that what contrast is worth can be measured."""
        logits = of_all_ranks(self.network(batch.queries))
        return {"total": type_cross_entropy(logits, types=of_all_ranks(batch.types))}

    @override
    def configure_gradient_clipping(self, optimizer: Any, *_: object, **__: object) -> None:
        """Shortens the gradient over all weights to ``gradient_clip``; its length before that is a term."""
        self.terms["gradient"] = shorten_gradient(self.network, longest=self.config.gradient_clip).detach()

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step of the encoder; then the momentum encoder and the averaged weights follow."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        if self.key_encoder is not None:
            blend_into(self.key_encoder, network=self.network, keep=self.momentum_at(step))
        decay = self.config.average_decay
        blend_into(self.average, network=self.network, keep=min(decay, young_share(step)) if decay else 0.0)

    def momentum_at(self, step: int) -> float:
        """The share of the key encoder that ``step`` keeps: a cosine from first to last (Grill et al., 2020).

        A young key encoder keeps less (``young_share``), so that it forgets the weights it was drawn with.
        """
        first, last = self.config.momentum
        done = step / max(1, self.config.total_steps - 1)
        ramp = last - (last - first) * 0.5 * (1 + math.cos(math.pi * done))
        return min(ramp, young_share(step))

    @override
    def on_validation_epoch_start(self) -> None:
        """Nothing seen yet."""
        self._seen = [[] for _ in ("references", *self.validation_names)]

    @override
    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The averaged encoder's embeddings, in float32 as step 2 reads them."""
        with torch.autocast(batch.pictures.device.type, enabled=False):
            self._seen[dataloader_idx].append((self.average.embed(batch.pictures), batch))

    @override
    def on_validation_epoch_end(self) -> None:
        """Scores of every validation set by nearest mean, kept in ``scores`` and written to the loggers."""
        references, *watched = self._seen
        means = TypeMeans.of(
            torch.cat([embedding for embedding, _ in references]),
            types=torch.cat([batch.types for _, batch in references]),
        )
        self.scores = {
            name: score(self._answers(seen, means=means))
            for name, seen in zip(self.validation_names, watched, strict=True)
        }
        write_scores(self.scores, trainer=self.trainer)

    def _answers(self, seen: list[tuple[Tensor, Batch]], *, means: TypeMeans) -> Answers:
        embeddings = torch.cat([embedding for embedding, _ in seen])
        labels = {
            name: torch.cat([getattr(batch, name) for _, batch in seen]).cpu().numpy()
            for name in ("types", "counts", "chromosomes")
        }
        logits = means.logits(embeddings, temperature=self.config.temperature)
        return Answers(
            type_logits=np.asarray(logits.cpu().numpy()), count_logits=None, chromosome_logit=None, **labels
        )


def _told(terms: ContrastTerms, *, queries: Float[Tensor, "batch dim"]) -> dict[str, Tensor]:
    """The terms by name, with the length of the own keys' gradient over the queries."""
    (slope,) = torch.autograd.grad(terms.own, queries, retain_graph=True)
    return {**terms._asdict(), "own_gradient": slope.norm()}
