"""What several processes that learn together (``torch.distributed``) tell each other in a step."""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed
from torch.distributed.nn import functional as differentiable


def of_all_ranks(rows: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "total ..."]:
    """The rows of every rank, one below the other in rank order, with gradients to each of them.

    Every rank must have as many rows. Where each of them computes the same loss from all rows, the mean of
    their gradients is that loss's gradient. ``rows`` itself where one process learns alone.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    return torch.cat([*differentiable.all_gather(rows.contiguous())])
