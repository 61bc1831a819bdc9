"""The queue of keys: which keys it holds, in which order, and that all of its state is saved."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from tests.two_ranks import drawn_keys, fill_together
from torch import Tensor

from supcam.learn.config import ContrastConfig
from supcam.learn.key_queue import KeyQueue
from supcam.learn.losses import contrastive_loss

SLOTS = 5


def numbered(first: int, n: int, *, types: list[int] | None = None) -> tuple[Tensor, Tensor]:
    """Keys (first, -first), (first + 1, -first - 1) ...; their types, which are the numbers modulo 4."""
    numbers = torch.arange(first, first + n)
    keys = torch.stack([numbers, -numbers], dim=1).float()
    return keys, numbers % 4 if types is None else torch.tensor(types)


def filled_queue(n: int) -> KeyQueue:
    """A queue that has seen the keys 1, 2 ... n."""
    queue = KeyQueue(slots=SLOTS, dim=2)
    keys, types = numbered(1, n)
    queue.enqueue(keys, types=types)
    return queue


def held(queue: KeyQueue) -> list[int]:
    """The numbers of the keys that the queue offers, checked against their types."""
    references = queue.references()
    numbers = references.keys[:, 0].int()
    assert torch.equal(references.keys[:, 1].int(), -numbers)
    assert torch.equal(references.types, numbers % 4)
    return numbers.tolist()


# ---- which keys it holds


@pytest.mark.parametrize("n", range(14))
def test_it_holds_the_last_keys_each_in_its_slot(n: int) -> None:
    """Key number k lies in slot (k - 1) modulo the slots: the queue wraps around and loses none."""
    queue = filled_queue(n)
    assert sorted(held(queue)) == list(range(max(1, n - SLOTS + 1), n + 1))
    assert all(int(queue.keys[(number - 1) % SLOTS, 0]) == number for number in held(queue))
    assert queue.pointer.item() == n % SLOTS


@pytest.mark.parametrize(
    "cut", [[1] * 17, [2] * 8 + [1], [3, 4, 5, 5], [0, 6, 0, 11], [17], [4, 13], [5, 5, 5, 2], [12, 1, 4]]
)
def test_it_does_not_matter_how_keys_are_cut_into_batches(cut: list[int]) -> None:
    """Not dividing the slots, empty, as large as the queue, larger."""
    queue, keys, types = KeyQueue(slots=SLOTS, dim=2), *drawn_keys(17, seed=1)
    for some, kinds in zip(keys.split(cut), types.split(cut), strict=True):
        queue.enqueue(some, types=kinds)
    at_once = KeyQueue(slots=SLOTS, dim=2)
    at_once.enqueue(keys, types=types)
    known = [(key, kind) for key, kind in zip(keys.tolist(), types.tolist(), strict=True) if kind != -1]
    slots = {place % SLOTS: pair for place, pair in enumerate(known)}
    assert [(queue.keys[i].tolist(), int(queue.types[i])) for i in range(SLOTS)] == [
        slots[i] for i in range(SLOTS)
    ]
    assert all(torch.equal(one, other) for one, other in zip(queue.buffers(), at_once.buffers(), strict=True))


def test_keys_of_unknown_type_are_left_out() -> None:
    queue = filled_queue(2)
    keys, _ = numbered(3, 4)
    queue.enqueue(keys, types=torch.tensor([-1, 0, -1, 2]))
    assert held(queue) == [1, 2, 4, 6]
    queue.enqueue(keys, types=torch.tensor([-1] * 4))
    assert held(queue) == [1, 2, 4, 6]
    assert queue.pointer.item() == 4


def test_an_empty_slot_never_counts() -> None:
    """A half-full queue gives the loss of its keys alone: an empty slot is neither positive nor negative."""
    fresh = KeyQueue(slots=SLOTS, dim=2).references()
    assert (fresh.keys.shape, fresh.types.shape) == ((0, 2), (0,))
    keys, types = numbered(1, 2)
    roomy, tight = KeyQueue(slots=100, dim=2), KeyQueue(slots=2, dim=2)
    for queue in (roomy, tight):
        queue.enqueue(keys, types=types)
    query = torch.tensor([[0.6, 0.8]])
    totals = [
        contrastive_loss(
            query, query, types=torch.tensor([1]), references=queue.references(), config=ContrastConfig()
        ).total
        for queue in (roomy, tight)
    ]
    assert totals[0] == totals[1] > 0


# ---- what is stored


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_keys_are_float32_without_gradient_whatever_comes(dtype: torch.dtype) -> None:
    keys = torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=dtype, requires_grad=True)
    queue = KeyQueue(slots=SLOTS, dim=2)
    queue.enqueue(keys, types=torch.tensor([0, 3]))
    references = queue.references()
    assert (references.keys.dtype, references.types.dtype) == (torch.float32, torch.int64)
    assert not references.keys.requires_grad
    assert torch.equal(references.keys, keys.detach().float())


def test_what_is_stored_is_a_copy() -> None:
    queue = KeyQueue(slots=SLOTS, dim=2)
    keys, types = numbered(1, 3)
    queue.enqueue(keys, types=types)
    keys.zero_()
    assert held(queue) == [1, 2, 3]


def test_enqueue_before_backward_leaves_the_gradient_as_it_was() -> None:
    query, types = torch.tensor([[0.6, 0.8]]), torch.tensor([1])

    def gradient(*, early: bool) -> Tensor:
        queue, leaf = filled_queue(SLOTS), query.clone().requires_grad_()
        loss = contrastive_loss(
            leaf, query, types=types, references=queue.references(), config=ContrastConfig()
        ).total
        if early:
            queue.enqueue(torch.full((SLOTS, 2), 7.0), types=torch.zeros(SLOTS, dtype=torch.int64))
        return torch.autograd.grad(loss, leaf)[0]

    assert torch.equal(gradient(early=True), gradient(early=False))


def test_whole_state_is_saved() -> None:
    """A queue that was saved and loaded goes on as the one that was not."""
    queue, file = filled_queue(7), io.BytesIO()
    assert not list(queue.parameters())
    assert {name for name, _ in queue.named_buffers()} == set(queue.state_dict())
    torch.save(queue.state_dict(), file)
    resumed = KeyQueue(slots=SLOTS, dim=2)
    resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert held(resumed) == held(queue) == [6, 7, 3, 4, 5]
    keys, types = numbered(8, 4)
    for one in (queue, resumed):
        one.enqueue(keys, types=types)
    assert held(resumed) == held(queue) == [11, 7, 8, 9, 10]


def test_queue_of_another_size_is_not_loaded() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        KeyQueue(slots=SLOTS + 1, dim=2).load_state_dict(filled_queue(3).state_dict())


# ---- several processes


def test_two_processes_hold_what_one_holds_of_the_whole_batch(tmp_path: Path) -> None:
    """In rank order, with shares that differ, are empty, wrap around and exceed the queue."""
    shares = [[3, 0, 2, 9], [3, 4, 1, 5]]
    alone = KeyQueue(slots=7, dim=2)
    for step, lengths in enumerate(zip(*shares, strict=True)):
        keys, types = drawn_keys(sum(lengths), seed=step)
        alone.enqueue(keys, types=types)
    states = fill_together(tmp_path, shares=shares, slots=7)
    assert (alone.types >= 0).all()
    for state in states:
        assert all(torch.equal(state[name], value) for name, value in alone.state_dict().items())
