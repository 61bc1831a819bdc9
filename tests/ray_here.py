"""What Ray's workers do, done in this process: the same parts and answers without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import ray

from supcam.spread import scale_ray
from supcam.spread.scale_ray import Analyst, Foreman, Job, Told, Wanted


class Handle:
    """A foreman in this process behind the handle that Ray would give."""

    def __init__(self, foreman: Foreman) -> None:
        self._foreman = foreman

    def __getattr__(self, name: str) -> Handle:
        self._method: Callable[..., object] = getattr(self._foreman, name)
        return self

    def remote(self, *arguments: str) -> object:
        return self._method(*arguments)


def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a handle gives is there at once."""
    monkeypatch.setattr(ray, "get", lambda answer: answer)


def analyze_parts_here(wanted: Sequence[Wanted], *, job: Job, model: Path, n_workers: int) -> Iterator[Told]:
    """What ``analyze_parts`` gives, by a single worker."""
    analyst = Analyst(job, Handle(Foreman(scale_ray._packed(model))))
    for part in scale_ray._split(wanted, n_workers=n_workers):
        yield from (Told(**row) for row in analyst(scale_ray._rows(part)).to_pylist())
