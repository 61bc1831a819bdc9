"""Commands that compare recipes: what they say, and what they leave where."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import run_without, supcam_
from tests.tiny_experiment import change_plan, invent, write_plan

from supcam.core.types import ClusterType
from supcam.measure.comparison import Compared
from supcam.workflows.experiment import driver, maps
from supcam.workflows.experiment.driver import Failed, Work
from supcam.workflows.experiment.run import Bench
from supcam.workflows.terminal import SOME_FAILED, UNUSABLE


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return write_plan(tmp_path)


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        ("run", ["plan.toml", "--dry-run", "--processes", "budget_hours", "share step 1", "where it stood"]),
        ("table", ["<!-- table of NAME -->", "not run", "--into"]),
        ("plot", ["PNG", "--set"]),
        ("embed", ["chance", "--part", "silhouettes", "before and after each step"]),
    ],
)
def test_help_teaches(command: str, taught: list[str]) -> None:
    result = supcam_("experiment", command, "--help")
    assert result.exit_code == 0
    told = " ".join(result.output.split())
    assert [words for words in taught if words not in told] == []


@pytest.mark.parametrize(
    "arguments", [["run"], ["table"], ["table", "--into", "page.md"], ["plot", "--output", "plot.png"]]
)
def test_folder_without_a_plan_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    command, *options = arguments
    result = supcam_("experiment", command, tmp_path / "nowhere", *options)
    assert result.exit_code == UNUSABLE, result.output
    assert "plan.toml" in result.stderr


def test_dry_run_tells_the_estimate_and_makes_nothing(bench: Bench) -> None:
    before = sorted(bench.folder.rglob("*"))
    result = supcam_("experiment", "run", bench.folder, "--runs", bench.runs, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "5 of 5 runs to do, about 0.0 machine hours" in result.stderr
    assert sorted(bench.folder.rglob("*")) == before
    assert not bench.runs.exists()


def test_plan_over_its_budget_and_unknown_rows_are_exit_code_2(bench: Bench) -> None:
    result = supcam_("experiment", "run", bench.folder, "--row", "nobody", "--dry-run")
    assert (result.exit_code, "rows nobody" in result.stderr) == (UNUSABLE, True)
    change_plan(bench, "budget_hours = 1.0", new="budget_hours = 0.0001")
    result = supcam_("experiment", "run", bench.folder, "--dry-run")
    assert (result.exit_code, "budget of 0.0001" in result.stderr) == (UNUSABLE, True)


def test_options_reach_the_driver_and_a_failed_run_is_exit_code_1(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Bench, Work]] = []

    def run_plan(bench: Bench, *, work: Work) -> tuple[Failed, ...]:
        asked.append((bench, work))
        return (Failed("plain_seed1", "a fault"),)

    monkeypatch.setattr(driver, "run_plan", run_plan)
    result = supcam_(
        "experiment", "run", bench.folder, "--runs", bench.runs, "--row", "plain", "--row", "full",
        "--processes", "2", "--commit", "abc", "--keep-gb", "1.5",
    )  # fmt: skip
    assert result.exit_code == SOME_FAILED
    ((given, work),) = asked
    runs = bench.runs / "tiny"
    assert given == Bench(folder=bench.folder, runs=runs, commit="abc", kept_bytes=1_500_000_000)
    assert (work.only, work.processes, work.dry) == (("plain", "full"), 2, False)


def test_table_is_printed_or_put_into_a_page(bench: Bench, tmp_path: Path) -> None:
    invent(bench, row="full")
    printed = supcam_("experiment", "table", bench.folder)
    assert printed.exit_code == 0, printed.output
    assert "| One step | 0/1 | not run |" in printed.stdout
    page = tmp_path / "page.md"
    page.write_text("<!-- table of tiny -->\n<!-- end of tiny -->\n")
    assert supcam_("experiment", "table", bench.folder, "--into", page).exit_code == 0
    assert printed.stdout.strip() in page.read_text(encoding="utf-8")


def test_plot_is_a_png(bench: Bench, tmp_path: Path) -> None:
    invent(bench, row="full")
    path = tmp_path / "plot.png"
    result = supcam_("experiment", "plot", bench.folder, "--output", path, "--set", "select")
    assert result.exit_code == 0, result.output
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_embed_hands_on_names_weights_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[maps.MapsPlan] = []

    def draw_maps(plan: maps.MapsPlan) -> tuple[maps.Seen, ...]:
        asked.append(plan)
        read = {"all": Compared(0.5, 0.4, 0.6)}
        return (maps.Seen(plan.weights[0], (), {ClusterType.INSTANCE: 0.1}, read, laboratory=0.9),)

    monkeypatch.setattr(maps, "draw_maps", draw_maps)
    result = supcam_(
        "experiment", "embed", "r.toml", "--output", tmp_path / "maps", "--weights", "before=chance",
        "--weights", "after=runs/a=b.ckpt", "--weights", "model", "--part", "lab:select",
        "--part", "lab:fold1",
        "--by", "pca", "--neighbours", "7", "--most", "9", "--seed", "4", "--commit", "abc",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (plan,) = asked
    named = [(one.name, one.place) for one in plan.weights]
    assert named == [("before", "chance"), ("after", "runs/a=b.ckpt"), ("model", "model")]
    assert plan.parts == ("lab:select", "lab:fold1")
    assert (plan.how, plan.neighbours, plan.most, plan.seed, plan.commit) == ("pca", 7, 9, 4, "abc")
    assert "| before | +0.100 | 0.500 (0.400-0.600) | – | 0.900 | no |" in result.stdout


def test_table_needs_no_torch_and_runs_name_the_extra(bench: Bench) -> None:
    invent(bench, row="full")
    table = run_without("torch", "experiment", "table", str(bench.folder))
    assert table.returncode == 0, table.stderr
    assert "not run" in table.stdout
    run = run_without("torch", "experiment", "run", str(bench.folder))
    assert run.returncode == UNUSABLE
    assert "supcam[train]" in run.stderr
