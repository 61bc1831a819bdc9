from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.drawn_spreads import tiny_spread_model, write_spread

from supcam.core.config import ImageConfig
from supcam.core.types import SupcamError
from supcam.pack.bundle import load_model
from supcam.spread import scale as module
from supcam.spread.outputs import Task
from supcam.spread.scale import Crew, Outcome, run_all


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_spread_model(folder)
    return folder


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    """Four pictures, the second of which is none."""
    paths = [write_spread(tmp_path / "in" / f"{seed}.png", seed=seed) for seed in range(4)]
    paths[1].write_bytes(b"no picture")
    out = tmp_path / "out"
    return [Task(path, name=path.name, stem=path.stem, case="", output=out, settings="") for path in paths]


def crew(bundle: Path, n: int = 1) -> Crew:
    return Crew(n_processes=n, model=bundle, image=ImageConfig())


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_one_bad_picture_stops_nothing(tasks: list[Task], bundle: Path) -> None:
    outcomes = list(run_all(tasks, crew=crew(bundle), model=load_model(bundle, threads=1)))
    assert [outcome.record is not None for outcome in outcomes] == [True, False, True, True]
    assert "text" in outcomes[1].reason
    assert not outcomes[1].is_fatal


def test_processes_write_what_one_process_writes(tasks: list[Task], bundle: Path) -> None:
    outcomes = list(run_all(tasks, crew=crew(bundle, 2), model=load_model(bundle, threads=1)))
    assert sorted(outcome.task.stem for outcome in outcomes) == ["0", "1", "2", "3"]
    assert sum(outcome.record is None for outcome in outcomes) == 1
    alone = [replace(task, output=task.output.with_name("alone")) for task in tasks]
    list(run_all(alone, crew=crew(bundle), model=load_model(bundle, threads=1)))
    assert content(tasks[0].output) == content(alone[0].output)


@pytest.mark.parametrize(
    ("error", "fatal", "reason"),
    [
        (MemoryError(), False, "more memory"),
        (ZeroDivisionError("odd"), False, "unexpected ZeroDivisionError: odd"),
        (SupcamError("full", expected="room", remedy="make room"), True, "make room"),
    ],
)
def test_whatever_happens_to_a_picture_is_told(
    tasks: list[Task],
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: Exception,
    fatal: bool,
    reason: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "process", fail)
    outcome = next(iter(run_all(tasks, crew=crew(bundle), model=load_model(bundle, threads=1))))
    assert (outcome.record, outcome.is_fatal) == (None, fatal)
    assert reason in outcome.reason


def die_on_two(task: Task, *, crew: Crew) -> Outcome:
    """A worker that is ended from outside when it meets picture 2."""
    if task.stem == "2":
        os._exit(9)
    return Outcome(task, record=task.path)


def test_a_process_that_dies_takes_no_other_picture_along(
    tasks: list[Task], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_at_work", die_on_two)
    outcomes = {
        outcome.task.stem: outcome
        for outcome in run_all(tasks, crew=crew(bundle, 2), model=load_model(bundle, threads=1))
    }
    assert sorted(outcomes) == ["0", "1", "2", "3"]
    assert [stem for stem, outcome in outcomes.items() if outcome.record is None] == ["2"]
    assert "was ended" in outcomes["2"].reason


def test_only_a_few_pictures_are_handed_out_ahead(
    tasks: list[Task], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes one outcome and waits finds no more than the pictures at work."""
    monkeypatch.setattr(module, "_at_work", die_on_two)
    many = [replace(tasks[0], stem=f"s{n}") for n in range(40)]
    handed: list[int] = []
    waiting = list(many)
    lost: list[Task] = []
    run: Iterator[Outcome] = module._run(waiting, lost=lost, crew=crew(bundle, 2))
    for _ in range(5):
        next(run)
        handed.append(len(many) - len(waiting))
    run.close()  # type: ignore[attr-defined]
    assert handed[-1] <= 5 + 2 * 2 + 4
