"""Keys of earlier batches with their types: what queries are compared with (He et al., 2020, with labels)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64, Shaped
from torch import Tensor, distributed, nn

from supcam.learn.batches import UNKNOWN


class References(NamedTuple):
    """Keys to compare queries with, and their types."""

    keys: Float[Tensor, "slots dim"]
    types: Int64[Tensor, " slots"]


class KeyQueue(nn.Module):
    """A ring of the last ``slots`` keys of known type; float32, in slot order, the same on every rank.

    Its whole state is in buffers: ``keys``, ``types`` (-1 = empty slot) and ``pointer``, the slot that is
    written next. So it is saved, moved and resumed with the module that holds it.
    """

    keys: Float32[Tensor, "slots dim"]
    types: Int64[Tensor, " slots"]
    pointer: Int64[Tensor, ""]

    def __init__(self, *, slots: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(slots, dim))
        self.register_buffer("types", torch.full((slots,), UNKNOWN))
        self.register_buffer("pointer", torch.tensor(0))

    @torch.no_grad()
    def enqueue(self, keys: Float[Tensor, "batch dim"], *, types: Int64[Tensor, " batch"]) -> None:
        """Writes the keys of all ranks, in rank order, over the oldest ones; those of type -1 are left out.

        The state depends on the sequence of keys alone, not on how it was cut into batches: a batch may be
        empty, wrap around, or be larger than the queue, which then keeps its end. Under ``torch.distributed``
        every rank must call it, with as many keys as it has.
        """
        keys, types = _of_all_ranks(keys.to(self.keys)), _of_all_ranks(types.to(self.types))
        known = types != UNKNOWN
        keys, types = keys[known], types[known]
        slots = len(self.types)
        places = (self.pointer + torch.arange(len(types), device=types.device)) % slots
        self.keys[places[-slots:]] = keys[-slots:]
        self.types[places[-slots:]] = types[-slots:]
        self.pointer.add_(len(types)).remainder_(slots)

    def references(self) -> References:
        """The filled slots; copies, so that a later ``enqueue`` does not reach into a graph made of them."""
        filled = self.types != UNKNOWN
        return References(keys=self.keys[filled], types=self.types[filled])


def _of_all_ranks(rows: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "total ..."]:
    """The rows of every rank, one below the other in rank order; ranks may have different numbers of them."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    length = torch.tensor(len(rows), device=rows.device)
    lengths = [torch.empty_like(length) for _ in range(distributed.get_world_size())]
    distributed.all_gather(lengths, length)
    longest = int(torch.stack(lengths).max())
    padded = rows.new_zeros(longest, *rows.shape[1:])
    padded[: len(rows)] = rows
    gathered = [torch.empty_like(padded) for _ in lengths]
    distributed.all_gather(gathered, padded)
    return torch.cat([part[: int(n)] for part, n in zip(gathered, lengths, strict=True)])
