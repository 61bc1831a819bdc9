"""Step 2: the classifier, on a backbone that moves or stands still, with averaged weights."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import lightning
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from typing_extensions import override

from supcam.core.types import TrainingError
from supcam.learn.averaging import blend_into, young_share
from supcam.learn.batches import Batch
from supcam.learn.classification import LossTerms, classification_loss
from supcam.learn.config import TrainConfig
from supcam.learn.distillation import Teacher, distillation_loss
from supcam.learn.encoder import Network, NetworkOutput
from supcam.learn.history import write_scores
from supcam.learn.mixup import mixed, partners_of, weighed
from supcam.learn.optimizer import Groups, adamw, groups_by_layer, layer_factors, parameter_groups
from supcam.learn.ranks import of_all_ranks
from supcam.learn.scores import Answers, Scores, joined, score
from supcam.learn.stepping import begin_step, require_finite, shorten_gradient

_TERMS = ("total", "type", "count", "chromosome")
_LOGITS = ("type_logits", "count_logits", "chromosome_logit")


class Finetuning(lightning.LightningModule):
    """Trains ``network``, keeps its averaged weights in ``average`` and scores those after every epoch.

    As a probe (``stage``) it trains the heads alone. The backbone then stands still, running statistics
    included, and every checkpoint proves it: ``require_unmoved``.

    ``validation_names`` are the names of the validation loaders, in their order. ``terms`` are the losses of
    the last step. Whatever the network draws at random in a step (dropout) follows from (seed, step), so that
    a resumed run draws it again.
    """

    def __init__(
        self, network: Network, *, config: TrainConfig, validation_names: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.network = network
        if config.stage == "probe":
            network.backbone.requires_grad_(False).eval()
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.config = config
        self.validation_names = tuple(validation_names)
        self.term_names = _term_names(config)
        self._teacher = _teacher_of(network, config=config)
        self.terms: dict[str, Tensor] = {}
        self.scores: dict[str, Scores] = {}
        self._answers: list[list[Answers]] = []
        self._frozen = fingerprint(network.backbone) if config.stage == "probe" else None

    @override
    def train(self, mode: bool = True) -> Self:
        """Training mode, but for a backbone that stands still."""
        super().train(mode)
        if self.config.stage == "probe":
            self.network.backbone.eval()
        return self

    @override
    def configure_optimizers(self) -> Any:
        """AdamW on all that moves, with a rate for each depth where ``layer_decay`` asks for it."""
        return adamw(self._groups(), config=self.config)

    def _groups(self) -> Groups:
        decay, rate = self.config.weight_decay, self.config.highest_rate
        if self.config.layer_decay == 1:
            return parameter_groups(self.network, weight_decay=decay)
        factors = layer_factors(self.network, decay=self.config.layer_decay)
        return groups_by_layer(self.network, factors=factors, rate=rate, weight_decay=decay)

    @override
    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """The step's own randomness. Raises ``TrainingError`` when the batch is not that of the step."""
        begin_step(batch.step, step=self.global_step, seed=self.config.seed)

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch, on every rank that of all ranks' pictures.

        Raises ``TrainingError`` when it is not finite.
        """
        terms = self.terms_of(batch)
        require_finite(terms.total, step=batch.step)
        self.terms = {name: getattr(terms, name).detach() for name in self.term_names}
        self.log("loss", terms.total.detach(), prog_bar=True, logger=False, batch_size=len(batch.types))
        return terms.total

    def terms_of(self, batch: Batch) -> LossTerms:
        """The loss of ``batch``, its pictures mixed where the configuration asks for it."""
        blend = mixed(batch, config=self.config)
        output: NetworkOutput = self.network(batch.pictures if blend is None else blend.pictures)
        terms = self._terms(output, batch=batch)
        if blend is not None:
            others = self._terms(output, batch=partners_of(batch, partners=blend.partners))
            terms = weighed(terms, partners=others, share=blend.share)
        if self._teacher is None:
            return terms
        shown = batch.pictures if blend is None else blend.pictures
        return self._taught(terms, output=output, taught=self._teacher(shown), batch=batch)

    def _taught(
        self, terms: LossTerms, *, output: NetworkOutput, taught: NetworkOutput, batch: Batch
    ) -> LossTerms:
        """``terms`` with the distance to the teacher's answers, by its share."""
        distance = distillation_loss(
            _logits_of_everyone(output),
            taught=_logits_of_everyone(taught),
            batch=_everyone(batch),
            config=self.config,
        )
        share = self.config.teacher_share
        return replace(terms, total=(1 - share) * terms.total + share * distance, teacher=distance)

    def _terms(self, output: NetworkOutput, *, batch: Batch) -> LossTerms:
        """The loss of all ranks' pictures by the labels of ``batch``."""
        return classification_loss(_logits_of_everyone(output), batch=_everyone(batch), config=self.config)

    @override
    def configure_gradient_clipping(self, optimizer: Any, *_: object, **__: object) -> None:
        """Shortens the gradient over all weights to ``gradient_clip``."""
        shorten_gradient(self.network, longest=self.config.gradient_clip)

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step of the weights, then one of their average (young averages forget faster)."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        decay = self.config.average_decay
        blend_into(self.average, network=self.network, keep=min(decay, young_share(step)) if decay else 0.0)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Nothing is added; a backbone that should have stood still and moved is never saved."""
        self.require_unmoved()

    def require_unmoved(self) -> None:
        """Nothing, when what was frozen is bit for bit what it was. Raises ``TrainingError``.

        Weights and buffers (running statistics) of the backbone and of its average are compared.
        """
        if self._frozen is None:
            return
        for name, network in (("the network", self.network), ("its average", self.average)):
            if fingerprint(network.backbone) != self._frozen:
                raise TrainingError(
                    f"a frozen backbone that moved in {name} before step {self.global_step}",
                    expected="weights and running statistics as at the start",
                    remedy="report this: the probe would not say what the backbone is worth",
                )

    @override
    def on_validation_epoch_start(self) -> None:
        """No answers yet."""
        self._answers = [[] for _ in self.validation_names]

    @override
    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The averaged network's answers, in float32 as it is used later."""
        with torch.autocast(batch.pictures.device.type, enabled=False):
            output: NetworkOutput = self.average(batch.pictures)
        self._answers[dataloader_idx].append(
            answers_of(output, batch=batch, counts_trained=self.config.count_weight > 0)
        )

    @override
    def on_validation_epoch_end(self) -> None:
        """Scores of every validation set, kept in ``scores`` and written to the loggers."""
        pairs = zip(self.validation_names, self._answers, strict=True)
        self.scores = {name: score(joined(parts)) for name, parts in pairs}
        write_scores(self.scores, trainer=self.trainer)


def _logits_of_everyone(output: NetworkOutput) -> NetworkOutput:
    """``output`` with the logits for all ranks' pictures."""
    return output._replace(**{name: of_all_ranks(getattr(output, name)) for name in _LOGITS})


def _everyone(batch: Batch) -> Batch:
    """``batch`` with the labels of all ranks' pictures."""
    return batch._replace(
        types=of_all_ranks(batch.types),
        counts=of_all_ranks(batch.counts),
        chromosomes=of_all_ranks(batch.chromosomes),
    )


def _term_names(config: TrainConfig) -> tuple[str, ...]:
    """The terms of the loss that are written down."""
    further = {"weak": config.weak_weight > 0, "teacher": config.teacher is not None}
    return (*_TERMS, *(name for name, counts in further.items() if counts))


def _teacher_of(network: Network, *, config: TrainConfig) -> Teacher | None:
    if config.teacher is None:
        return None
    return Teacher(Path(config.teacher), max_count=network.count_head.out_features)


def fingerprint(module: nn.Module) -> str:
    """SHA-256 of a module's parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def answers_of(output: NetworkOutput, *, batch: Batch, counts_trained: bool) -> Answers:
    """What the network said about ``batch``, beside what is known of it."""
    return Answers(
        type_logits=_numpy(output.type_logits),
        count_logits=_numpy(output.count_logits) if counts_trained else None,
        chromosome_logit=_numpy(output.chromosome_logit),
        types=batch.types.cpu().numpy(),
        counts=batch.counts.cpu().numpy(),
        chromosomes=batch.chromosomes.cpu().numpy(),
    )


def _numpy(logits: Float[Tensor, "batch classes"]) -> Float32[np.ndarray, "batch classes"]:
    return np.asarray(logits.float().cpu().numpy())
