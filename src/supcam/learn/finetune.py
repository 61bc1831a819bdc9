"""Supervised training: cross-entropy on type, count and chromosome-or-not, with averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from supcam.core.types import TrainingError
from supcam.learn.batches import UNKNOWN, Batch
from supcam.learn.config import TrainConfig
from supcam.learn.encoder import Network, NetworkOutput
from supcam.learn.history import write_everywhere
from supcam.learn.scores import Answers, Scores, score

Scalar = Float32[Tensor, ""]


@dataclass(frozen=True, slots=True, eq=False)
class LossTerms:
    """The loss and what it is made of, each a mean over the pictures whose label is known (0 without any)."""

    total: Scalar
    type: Scalar
    count: Scalar
    chromosome: Scalar


def classification_loss(output: NetworkOutput, *, batch: Batch, config: TrainConfig) -> LossTerms:
    """Type's cross-entropy + ``count_weight`` x count's + ``chromosome_weight`` x chromosome's, in float32.

    A label of -1 is left out. k chromosomes are count class min(k, classes) - 1.
    """
    classes = output.count_logits.shape[1]
    count = torch.where(batch.counts < 1, UNKNOWN, batch.counts.clamp(max=classes) - 1)
    with torch.autocast(output.type_logits.device.type, enabled=False):
        type_loss = _cross_entropy(output.type_logits, target=batch.types, smoothing=config.label_smoothing)
        count_loss = _cross_entropy(output.count_logits, target=count)
        chromosome_loss = functional.binary_cross_entropy_with_logits(
            output.chromosome_logit[:, 0].float(), batch.chromosomes.float()
        )
        total = type_loss + config.count_weight * count_loss + config.chromosome_weight * chromosome_loss
    return LossTerms(total=total, type=type_loss, count=count_loss, chromosome=chromosome_loss)


def _cross_entropy(
    logits: Float[Tensor, "batch classes"], *, target: Int64[Tensor, " batch"], smoothing: float = 0.0
) -> Scalar:
    """Mean over the known targets, 0 when none is known."""
    total = functional.cross_entropy(
        logits.float(), target, ignore_index=UNKNOWN, label_smoothing=smoothing, reduction="sum"
    )
    return total / (target != UNKNOWN).sum().clamp(min=1)


def rate_share(step: int, *, config: TrainConfig) -> float:
    """Share of the learning rate at ``step``: a linear rise, then a cosine down to ``final_rate_share``."""
    warmup = round(config.warmup_share * config.total_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, config.total_steps - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.final_rate_share + (1 - config.final_rate_share) * cosine


def blend_into(average: nn.Module, *, network: nn.Module, keep: float) -> None:
    """Moves ``average`` towards ``network``: average = keep x average + (1 - keep) x network.

    Running statistics of norm layers are averaged like weights, so that they belong to the averaged weights;
    integer buffers (a norm layer's count of batches) are copied.
    """
    theirs = dict(network.state_dict())
    ours = average.state_dict()
    floats = [name for name, value in ours.items() if value.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1 - keep)
    for name in ours.keys() - set(floats):
        ours[name].copy_(theirs[name])


def parameter_groups(network: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """The optimizer's groups: matrices and kernels decay; biases and the scales of norm layers do not."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


class Finetuning(lightning.LightningModule):
    """Trains ``network``, keeps its averaged weights in ``average`` and scores those after every epoch.

    ``validation_names`` are the names of the validation loaders, in their order. Whatever the network draws
    at random in a step (dropout) follows from (seed, step), so that a resumed run draws it again.
    """

    def __init__(
        self, network: Network, *, config: TrainConfig, validation_names: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.config = config
        self.validation_names = tuple(validation_names)
        self.scores: dict[str, Scores] = {}
        self._answers: list[list[Answers]] = []

    @override
    def configure_optimizers(self) -> Any:
        """AdamW with the rate of ``rate_share``, set anew before every step."""
        rate = self.config.learning_rate * (
            1.0 if self.config.init_from is None else self.config.init_rate_share
        )
        groups = parameter_groups(self.network, weight_decay=self.config.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_share(step, config=self.config)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @override
    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """The step's own randomness. Raises ``TrainingError`` when the batch is not that of the step."""
        if batch.step != self.global_step:
            raise TrainingError(
                f"the batch of step {batch.step} in step {self.global_step}",
                expected="every batch in its own step",
                remedy="report this: the resumed run would not be the uninterrupted one",
            )
        torch.manual_seed(_step_seed(seed=self.config.seed, step=batch.step))

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The loss of one batch and its terms. Raises ``TrainingError`` when it is not finite."""
        terms = classification_loss(self.network(batch.pictures), batch=batch, config=self.config)
        if not torch.isfinite(terms.total):
            raise TrainingError(
                f"a loss of {terms.total.item()} in step {batch.step}",
                expected="a finite loss",
                remedy="lower learning_rate, or look for pictures that are not finite",
            )
        self.log("loss", terms.total.detach(), prog_bar=True, logger=False, batch_size=len(batch.pictures))
        return {"loss": terms.total, **{name: getattr(terms, name).detach() for name in LossTerms.__slots__}}

    @override
    def configure_gradient_clipping(self, optimizer: Any, *_: object, **__: object) -> None:
        """Shortens the gradient over all weights to ``gradient_clip``."""
        if self.config.gradient_clip > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step of the weights, then one of their average (young averages forget faster)."""
        step = self.global_step
        super().optimizer_step(*args, **kwargs)
        keep = min(self.config.average_decay, (1 + step) / (10 + step))
        blend_into(self.average, network=self.network, keep=keep if self.config.average_decay else 0.0)

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
            _answers(output, batch=batch, counts_trained=self.config.count_weight > 0)
        )

    @override
    def on_validation_epoch_end(self) -> None:
        """Scores of every validation set, kept in ``scores`` and written to the loggers."""
        pairs = zip(self.validation_names, self._answers, strict=True)
        self.scores = {name: score(_joined(parts)) for name, parts in pairs}
        for name, scores in self.scores.items():
            values = {f"validation/{name}/{field}": getattr(scores, field) for field in scores.__slots__}
            write_everywhere(values, trainer=self.trainer)


def _step_seed(*, seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _answers(output: NetworkOutput, *, batch: Batch, counts_trained: bool) -> Answers:
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


def _joined(parts: list[Answers]) -> Answers:
    """All parts in one; they agree on what is trained."""
    columns = {name: [getattr(part, name) for part in parts] for name in Answers.__slots__}
    if columns["count_logits"][0] is None:
        columns["count_logits"] = []
    return Answers(**{name: _concatenated(values) for name, values in columns.items()})


def _concatenated(values: list[Any]) -> Any:  # noqa: ANN401 (one of several array types)
    return np.concatenate(values) if values else None
