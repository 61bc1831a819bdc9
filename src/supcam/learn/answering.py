"""What a trained network says about pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from supcam.learn.batches import Example, validation_loader
from supcam.learn.checkpoints import load_network
from supcam.learn.finetune import answers_of
from supcam.learn.scores import Answers, joined
from supcam.learn.surroundings import threads_of

_BATCH = 64


@torch.inference_mode()
def answer(checkpoint: Path, *, examples: Sequence[Example], threads: int = 1) -> Answers:
    """What the averaged network of ``checkpoint`` says about each of ``examples`` (at least one), in order.

    Raises ``TrainingError`` for a checkpoint that is none of a classifier.
    """
    loaded = load_network(checkpoint)
    counts_trained = loaded.recipe.train.count_weight > 0
    with threads_of(threads):
        return joined(
            [
                answers_of(loaded.network(batch.pictures), batch=batch, counts_trained=counts_trained)
                for batch in validation_loader(examples, batch_size=_BATCH)
            ]
        )
