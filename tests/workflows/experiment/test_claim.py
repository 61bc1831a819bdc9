from __future__ import annotations

from pathlib import Path

import pytest
from tests.tiny_experiment import invent, write_plan

from supcam.workflows.experiment import driver
from supcam.workflows.experiment.claim import HeldElsewhereError, held
from supcam.workflows.experiment.driver import Work, run_plan
from supcam.workflows.experiment.outcome import read_outcome
from supcam.workflows.experiment.plan import RESULTS, Run


def enter(folder: Path) -> None:
    with held(folder, wait=False):
        raise AssertionError("held twice")


def test_folder_is_held_by_one_and_free_again_after_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    with held(folder, wait=False), pytest.raises(HeldElsewhereError, match="another command is at"):
        enter(folder)
    with pytest.raises(KeyError), held(folder, wait=False):
        raise KeyError
    with held(folder, wait=True):
        assert not folder.exists(), "a run's folder begins empty"


def test_second_command_leaves_what_the_first_is_at_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning stands in for itself; the first command is at one of the two rows."""
    bench, asked, told = write_plan(tmp_path), list[str](), list[str]()

    def carry_out(run: Run, **_: object) -> object:
        asked.append(run.name)
        invent(bench, row=run.row.key)
        return read_outcome(bench.folder / RESULTS, name=run.name)

    monkeypatch.setattr(driver, "carry_out", carry_out)
    with held(bench.runs / "plain_seed1", wait=False):
        assert run_plan(bench, work=Work(only=["plain", "full"], tell=told.append)) == ()
    assert asked == ["full_seed1"]
    assert "1 of 2: plain_seed1: left to another command, which is at it" in told
    assert not (bench.folder / RESULTS / "plain_seed1.json").exists()


def test_run_that_was_finished_meanwhile_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the estimate and its turn another command finished it."""
    bench = write_plan(tmp_path)
    monkeypatch.setattr(driver, "carry_out", lambda *_, **__: pytest.fail("learnt twice"))

    def tell(_: str) -> None:
        invent(bench, row="plain")

    assert run_plan(bench, work=Work(only=["plain"], tell=tell)) == ()
