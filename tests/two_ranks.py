"""Processes that fill one queue together: what ``torch.multiprocessing`` starts must lie in a module."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from supcam.learn.key_queue import KeyQueue

Share = list[int]
"""How many keys a rank has in every step."""


def drawn_keys(n: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``n`` keys of two numbers, and their types, some of them unknown."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator), torch.randint(-1, 4, (n,), generator=generator)


def fill_together(folder: Path, *, shares: list[Share], slots: int) -> list[dict[str, torch.Tensor]]:
    """The state of every rank's queue after the steps; the ranks meet in ``folder``."""
    spawn(_fill, args=(str(folder), shares, slots), nprocs=len(shares))
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(len(shares))]


def _fill(rank: int, folder: str, shares: list[Share], slots: int) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=len(shares))
    queue = KeyQueue(slots=slots, dim=2)
    for step in range(len(shares[rank])):
        lengths = [share[step] for share in shares]
        keys, types = (rows.split(lengths)[rank] for rows in drawn_keys(sum(lengths), seed=step))
        queue.enqueue(keys, types=types)
    torch.save(queue.state_dict(), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()
