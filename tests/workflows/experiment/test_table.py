from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from tests.tiny_experiment import Invented, change_plan, invent, write_plan

from supcam.core.types import ManifestError, SupcamError
from supcam.workflows.experiment.run import Bench
from supcam.workflows.experiment.table import plot, put_into, read_rows, told

ROOT = Path(__file__).resolve().parents[3]
PLACE = "Before.\n\n<!-- table of tiny -->\nold words\n<!-- end of tiny -->\n\nAfter.\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return write_plan(tmp_path)


def cells(bench: Bench, row: str, *, scored: str = "folds") -> dict[str, str]:
    """One line of the table by its heads."""
    lines = told(bench.folder).split(f"`{scored}` (")[1].split("\n\n")[1].splitlines()
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    heads, _, *rows = table
    (found,) = [one for one in rows if one[0] == row]
    return dict(zip(heads, found, strict=True))


# ---- what the table says


def test_plan_that_was_not_run_is_a_table_all_the_same(bench: Bench) -> None:
    text = told(bench.folder)
    assert text.startswith("### A tiny table\n\nNothing to be learnt here.\n\n0 of 5 runs are finished")
    assert cells(bench, "One step") == {
        "row": "One step", "runs": "0/1", "four types": "not run", "clusters alone": "not run",
        "macro recall": "not run", "instance or cluster": "not run", "counts of 2 or 3": "not run",
        "macro recall against reference": "", "min": "",
    }  # fmt: skip


def test_row_that_was_run_shows_its_figures_and_the_others_are_not_run(bench: Bench) -> None:
    """Nine of ten pictures of each case were read right; one of them is of unknown type."""
    invent(bench, row="plain")
    assert cells(bench, "One step") == {
        "row": "One step", "runs": "1/1", "four types": "0.889 (0.889-0.889)",
        "clusters alone": "1.000 (1.000-1.000)", "macro recall": "0.938 (0.938-0.938)",
        "instance or cluster": "0.900 (0.900-0.900)", "counts of 2 or 3": "1.000 (1.000-1.000)",
        "macro recall against reference": "–", "min": "1.1",
    }  # fmt: skip
    assert cells(bench, "Two steps; full")["four types"] == "not run"


def test_row_of_which_some_runs_are_missing_is_not_finished(bench: Bench) -> None:
    _, second = invent(bench, row="folded")
    second.unlink()
    found = cells(bench, "One step, out of fold")
    assert (found["runs"], found["four types"]) == ("1/2", "not finished")


def test_rows_are_compared_with_the_reference_in_pairs(bench: Bench) -> None:
    invent(bench, row="full")
    invent(bench, row="plain", invented=Invented(n_right=7))
    invent(bench, row="folded")
    head = "macro recall against reference"
    assert cells(bench, "Two steps; full")[head] == "reference"
    assert cells(bench, "One step")[head] == "**-0.125 (-0.125 to -0.125)**"
    assert cells(bench, "One step, out of fold")[head] == "+0.000 (+0.000 to +0.000)"
    assert cells(bench, "Two steps; probe")[head] == ""


def test_row_may_be_compared_with_another_than_most(bench: Bench) -> None:
    change_plan(bench, 'name = "Two steps; probe"\n', new='name = "Two steps; probe"\nagainst = "plain"\n')
    change_plan(bench, 'name = "One step"\n', new='name = "One step"\nagainst = "plain"\n')
    for row, n_right in (("plain", 7), ("probe", 9), ("full", 9)):
        invent(bench, row=row, invented=Invented(n_right=n_right))
    head = "macro recall against reference"
    assert cells(bench, "Two steps; probe")[head] == "**+0.125 (+0.125 to +0.125)** to One step"
    assert cells(bench, "One step")[head] == cells(bench, "Two steps; full")[head] == "reference"


def test_one_case_has_no_interval_and_no_bold_difference(bench: Bench) -> None:
    invent(bench, row="full")
    invent(bench, row="plain", invented=Invented(n_right=7))
    found = cells(bench, "One step", scored="select")
    assert found["four types"] == "0.667 (–)"
    assert found["macro recall against reference"] == "-0.125 (–)"


def test_seeds_stand_behind_the_accuracy(bench: Bench) -> None:
    change_plan(bench, "seeds = [1]", new="seeds = [1, 2, 3]")
    invent(bench, row="plain")
    found = cells(bench, "One step")
    assert (found["runs"], found["four types"]) == ("3/3", "0.889 (0.889-0.889) 0.901..0.903")


def test_seeds_that_are_whole_are_shown_and_compared_with_the_same_ones(bench: Bench) -> None:
    """The reference has a third seed, badly read, that the other row lacks: no part of the difference."""
    change_plan(bench, "seeds = [1]", new="seeds = [1, 2, 3]")
    for seed, n_right in ((1, 9), (2, 9), (3, 5)):
        invent(bench, row="full", seed=seed, invented=Invented(n_right=n_right))
    for seed in (1, 2):
        invent(bench, row="plain", seed=seed)
    found = cells(bench, "One step")
    assert (found["runs"], found["macro recall"]) == ("2/3", "0.938 (0.938-0.938)")
    assert found["macro recall against reference"] == "+0.000 (+0.000 to +0.000)"


def test_verdict_says_plainly_what_is_worse_and_what_makes_no_difference(bench: Bench) -> None:
    assert "Not shown to differ" not in told(bench.folder)
    for row, n_right in (("full", 8), ("plain", 7), ("probe", 8), ("folded", 9)):
        invent(bench, row=row, invented=Invented(n_right=n_right))
    (line,) = [one for one in told(bench.folder).splitlines() if "on `folds`, against" in one]
    assert "**Worse**: One step. **Better**: One step, out of fold." in line
    assert line.endswith("to help or to harm: Two steps; probe.")


def test_time_and_commits_are_told(bench: Bench) -> None:
    invent(bench, row="full")
    invent(bench, row="probe", invented=Invented(train_seconds=3600.0))
    assert "2 of 5 runs are finished; they took 1.0 machine hours at commit 0123456." in told(bench.folder)
    assert cells(bench, "Two steps; full")["min"] == "1.6"


def test_row_whose_recipe_was_changed_since_says_so(bench: Bench) -> None:
    invent(bench, row="plain")
    path = bench.folder / "plain.toml"
    path.write_text(path.read_text() + "learning_rate = 0.5\n")
    assert cells(bench, "One step")["runs"] == "1/1 by an earlier recipe"


def test_set_that_came_later_is_not_scored_yet(bench: Bench) -> None:
    invent(bench, row="plain")
    change_plan(bench, "[scored]\n", new='[scored]\nlater = ["lab:select"]\n')
    assert cells(bench, "One step", scored="later")["four types"] == "not finished"
    assert cells(bench, "One step")["four types"] == "0.889 (0.889-0.889)"


def test_bar_in_a_name_does_not_end_a_cell(bench: Bench) -> None:
    change_plan(bench, 'name = "One step"\n', new='name = "One|step"\n')
    assert "| One\\|step | 0/1 |" in told(bench.folder)


def test_results_on_other_pictures_are_not_compared(bench: Bench) -> None:
    """A case renamed in one row's truth: the same as new pictures between two runs."""
    from supcam.workflows.experiment.outcome import Outcome, read_truth, write_outcome

    invent(bench, row="full")
    (path,) = invent(bench, row="plain")
    outcome = Outcome.model_validate_json(path.read_bytes())
    truth = read_truth(path.parent, named=outcome.sets["folds"].truth)
    other = truth.model_copy(update={"cases": (("lab", "c"), ("lab", "e"))})
    sets = {**outcome.sets, "folds": outcome.sets["folds"].model_copy(update={"truth": other.hash})}
    changed = outcome.model_copy(update={"sets": sets})
    write_outcome(changed, truths=[other], folder=path.parent, name=path.stem)
    with pytest.raises(SupcamError, match="two tables of the same pictures"):
        read_rows(bench.folder)


# ---- where it goes


def test_table_stands_between_its_comments_and_nothing_else_changes(bench: Bench, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PLACE, encoding="utf-8")
    for row in ("plain", "full"):
        invent(bench, row=row)
        put_into(page, folder=bench.folder)
        text = page.read_text(encoding="utf-8")
        assert text.startswith("Before.\n\n<!-- table of tiny -->\n\n### A tiny table\n")
        assert text.endswith("|\n\n<!-- end of tiny -->\n\nAfter.\n")
        assert told(bench.folder) in text
        assert "old words" not in text
        assert text.count("### A tiny table") == 1


@pytest.mark.parametrize(
    "text", ["", "<!-- table of tiny -->", "<!-- end of tiny --> <!-- table of tiny -->"]
)
def test_document_without_a_place_is_left_as_it_is(bench: Bench, tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ManifestError, match="no place for the table"):
        put_into(page, folder=bench.folder)
    assert page.read_text() == text


def test_folder_may_be_the_present_one(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(PLACE)
    monkeypatch.chdir(bench.folder)
    assert "A tiny table" in put_into(page, folder=Path()).read_text()


def test_plot_is_a_picture_of_the_finished_rows(bench: Bench, tmp_path: Path) -> None:
    invent(bench, row="full")
    invent(bench, row="plain", invented=Invented(n_right=7, train_seconds=None))
    path = plot(bench.folder, output=tmp_path / "new" / "plot.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape[1] > 800
    assert plot(bench.folder, output=tmp_path / "select.png", scored="select").is_file()


def test_plot_without_a_finished_row_or_of_an_unknown_set_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no row that is finished on a set 'folds'"):
        plot(bench.folder, output=tmp_path / "plot.png")
    invent(bench, row="full")
    with pytest.raises(ManifestError, match=r"'elsewhere'.*a set among folds, select"):
        plot(bench.folder, output=tmp_path / "plot.png", scored="elsewhere")
    assert not (tmp_path / "plot.png").exists()


# ---- the committed page


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*/plan.toml")), ids=lambda p: p.parent.name)
def test_page_of_results_holds_what_the_committed_results_give(path: Path, tmp_path: Path) -> None:
    """If it fails: supcam experiment table experiments/NAME --into docs/results.md."""
    page = ROOT / "docs" / "results.md"
    copy = tmp_path / "results.md"
    copy.write_bytes(page.read_bytes())
    put_into(copy, folder=path.parent)
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
