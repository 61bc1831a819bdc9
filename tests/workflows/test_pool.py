from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_bundle import tiny_model, tiny_parts
from typer.testing import CliRunner

from supcam import cli
from supcam.core.reading import read_jointly
from supcam.core.types import ManifestError, SupcamError
from supcam.measure import figures
from supcam.measure.report import Provenance, Unread, make_report
from supcam.measure.report_folder import write_report
from supcam.measure.table import PredictionTable
from supcam.measure.table_csv import read_table
from supcam.pack.export import read_plan
from supcam.pack.folder import read_folder, write_folder
from supcam.workflows.pool import PoolPlan, pool_evaluations

Evaluation = Callable[..., Path]


def draw_table(rng: np.random.Generator, *, role: str, n_cases: int, typed: bool) -> PredictionTable:
    """Forty pictures of each case, read well but not perfectly, all logits three times too large."""
    n = 40 * n_cases
    true_types = rng.integers(0, 4, n)
    true_counts = np.array([1, 2, 2, 3])[true_types]
    type_logits = 6 * (rng.normal(0, 1, (n, 4)) + 2 * np.eye(4)[true_types])
    count_logits = 6 * (rng.normal(0, 1, (n, 5)) + 2 * np.eye(5)[true_counts - 1])
    reading = read_jointly(type_logits, count_logits)
    return PredictionTable(
        paths=np.array([f"{row}.png" for row in range(n)]),
        cases=np.array([f"{role}-{row % n_cases}" for row in range(n)]),
        sources=np.full(n, "drawn"),
        folds=np.full(n, role),
        true_types=true_types if typed else np.full(n, -1),
        true_counts=true_counts,
        probabilities=reading.type_probabilities,
        predicted_counts=reading.counts,
        accepted=reading.type_probabilities.max(axis=1) >= 0.5,
        rejected=np.zeros(n, bool),
        type_logits=type_logits,
        count_logits=count_logits,
    )


@pytest.fixture
def evaluation(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    """Writes a folder as ``supcam evaluate`` does; no report here gets its figures, which take long."""
    monkeypatch.setattr(figures, "save_figures", lambda *_, **__: ())

    def write(role: str, *, n_cases: int = 4, typed: bool = True, counts: bool = True) -> Path:
        table = draw_table(rng, role=role, n_cases=n_cases, typed=typed)
        table = table if counts else replace(table, count_logits=None)
        provenance = Provenance(
            role=role,
            model=f"model-{role}",
            model_version="1.0",
            model_sha256=role[-1].encode().hex() * 32,
            data="drawn",
            data_sha256=role[0].encode().hex() * 32,
            command=f"supcam evaluate {role}",
        )
        report = make_report(
            table,
            provenance=provenance,
            unread=[Unread(f"{role}.png", "cut short")],
            notes=[f"a note on {role}"],
            n_resamples=2,
        )
        write_report(report, table=table, output=tmp_path / role)
        return tmp_path / role

    return write


def test_a_calibration_from_folds_reaches_the_bundle(evaluation: Evaluation, tmp_path: Path) -> None:
    folders = (evaluation("fold1"), evaluation("fold2"), evaluation("select"))
    calibration, output = tmp_path / "calibration.json", tmp_path / "pooled"
    plan = PoolPlan(folders, output=output, calibration=calibration, n_resamples=5, seed=3)
    done = pool_evaluations(plan)

    fitted = read_plan(calibration=calibration).calibration
    assert fitted == done.calibration
    assert fitted.fitted_on == ("fold1", "fold2", "select")
    assert (fitted.n_samples, fitted.n_cases, fitted.max_error) == (480, 12, 0.02)
    assert 2 < fitted.temperature < 5
    assert 0.25 < fitted.accept_threshold <= 1
    write_folder(tmp_path / "bundle", parts=tiny_parts(tiny_model(), calibration=fitted))
    assert read_folder(tmp_path / "bundle").calibration == fitted

    scores = done.report.overall.figures
    assert scores.accepted_share == pytest.approx(fitted.accepted_share)
    assert scores.accepted_accuracy == pytest.approx(1 - (fitted.accepted_error or 0))
    assert read_table(output / "predictions.csv").accepted.mean() == pytest.approx(fitted.accepted_share)
    assert scores.calibration_error < 0.08
    told = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert "Cross-fitted" in told["notes"][0]
    assert f"{fitted.accept_threshold:.4f}" in told["notes"][0]
    assert f"{fitted.accept_threshold:.4f}" in done.told()


def test_the_pooled_report_names_every_part(evaluation: Evaluation, tmp_path: Path) -> None:
    folders = (evaluation("fold2"), evaluation("select"))
    done = pool_evaluations(PoolPlan(folders, output=tmp_path / "pooled", n_resamples=2, commit="abc"))
    assert done.calibration is None
    made = done.report.provenance
    assert (made.role, made.model, made.model_version) == ("fold2+select", "model-fold2+model-select", "1.0")
    assert (made.data, made.commit) == ("drawn", "abc")
    assert made.accept_threshold is made.temperature is None
    page = (tmp_path / "pooled" / "report.md").read_text(encoding="utf-8")
    for role in ("fold2", "select"):
        assert f"supcam evaluate {role}" in page
        assert f"a note on {role}" in page
        assert role[-1].encode().hex() * 32 in page
        assert role[0].encode().hex() * 32 in page
    assert [item.path for item in done.report.unread] == ["fold2.png", "select.png"]
    whole = read_table(tmp_path / "pooled" / "predictions.csv")
    parts = [read_table(folder / "predictions.csv") for folder in folders]
    np.testing.assert_array_equal(whole.probabilities, np.concatenate([p.probabilities for p in parts]))
    assert not (tmp_path / "calibration.json").exists()


def test_objects_of_unknown_type_are_pooled_and_fit_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    folders = (evaluation("fold1"), evaluation("select", typed=False))
    plan = PoolPlan(folders, output=tmp_path / "p", calibration=tmp_path / "c.json", n_resamples=2)
    done = pool_evaluations(plan)
    assert done.calibration is not None
    assert (done.calibration.n_samples, done.calibration.n_cases) == (160, 4)
    assert (done.report.n_pictures, done.report.n_typed) == (320, 160)


def test_what_cannot_be_pooled_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    fold, report, blind = evaluation("fold1"), evaluation("report"), evaluation("fold3", counts=False)
    plan = PoolPlan((fold,), output=tmp_path / "p", calibration=tmp_path / "c.json", n_resamples=2)
    with pytest.raises(SupcamError, match="more than one table: drawn/fold1-0"):
        pool_evaluations(replace(plan, evaluations=(fold, fold)))
    with pytest.raises(SupcamError, match="calibration on report"):
        pool_evaluations(replace(plan, evaluations=(fold, report)))
    with pytest.raises(SupcamError, match="count differently"):
        pool_evaluations(replace(plan, evaluations=(fold, blind)))
    with pytest.raises(ManifestError, match="supcam evaluate wrote"):
        pool_evaluations(replace(plan, evaluations=(tmp_path,)))
    (blind / "report.json").write_text('{"provenance": {"role": 1}}', encoding="utf-8")
    with pytest.raises(ManifestError, match="supcam evaluate wrote"):
        pool_evaluations(replace(plan, evaluations=(blind,)))
    assert not (tmp_path / "p").exists()
    assert not (tmp_path / "c.json").exists()


def test_pooling_from_the_terminal(evaluation: Evaluation, tmp_path: Path) -> None:
    words = ["pool", evaluation("fold1"), evaluation("fold2"), "--output", tmp_path / "p"]
    words += ["--calibrate", tmp_path / "c.json", "--max-error", 0.05]
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "320 pictures of role fold1+fold2" in result.stderr
    assert read_plan(calibration=tmp_path / "c.json").calibration.max_error == 0.05
    again = CliRunner().invoke(cli.app, ["pool", str(tmp_path), "--output", str(tmp_path / "q")])
    assert again.exit_code == 2
    assert "supcam: error: " in again.stderr
