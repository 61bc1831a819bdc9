"""What each of several processes that learn together looks at in a step, and what they tell each other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed
from torch.distributed.nn import functional as differentiable


@dataclass(frozen=True, slots=True)
class Share:
    """The part of every batch that the process ``rank`` of ``ranks`` looks at; alone, all of it."""

    rank: int = 0
    ranks: int = 1

    def of(self, samples: range) -> range:
        """The samples of this process, as many as any other's where ``ranks`` divides them."""
        size = len(samples) // self.ranks
        return samples[self.rank * size : (self.rank + 1) * size]


WHOLE = Share()
"""All of every batch: one process learns alone."""


def of_all_ranks(rows: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "total ..."]:
    """The rows of every rank, one below the other in rank order, with gradients to each of them.

    Every rank must have as many rows. Where each of them computes the same loss from all rows, the mean of
    their gradients is that loss's gradient. ``rows`` itself where one process learns alone.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    with warnings.catch_warnings():
        # the newest torch asks for a function that the oldest one we take does not have
        warnings.filterwarnings("ignore", message="torch.distributed.nn.functional.all_gather is deprecated")
        return torch.cat([*differentiable.all_gather(rows.contiguous())])
