from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.commands import supcam_
from tests.tiny_bundle import write_tiny

from supcam.core.types import BundleError, SupcamError
from supcam.pack.bundle import load_model
from supcam.pack.metaphases import CHANCES_COLUMNS, CHANCES_TABLE
from supcam.pack.recalibrate import RecalibrationPlan, read_chances, recalibrate


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """A folder as an evaluation leaves it: 100 objects with one chromosome each, and 20 with none."""
    (tmp_path / "scores").mkdir()
    with (tmp_path / "scores" / CHANCES_TABLE).open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(CHANCES_COLUMNS)
        for n, chance in enumerate(np.linspace(0.5, 1, 100)):
            writer.writerow([f"{n}.png", "c", "s", "select", 1, repr(float(chance))])
        for chance in np.linspace(0, 0.6, 20):
            writer.writerow(["d.png", "c", "s", "select", 0, repr(float(chance))])
    return tmp_path / "scores"


def test_the_network_stays_and_the_threshold_comes_with_its_role(bundle: Path, scores: Path) -> None:
    output = bundle.with_name("new")
    before = load_model(bundle, threads=1)
    made = recalibrate(bundle, output=output, plan=RecalibrationPlan(metaphases=scores, keep=0.95))
    after = load_model(output, threads=1)
    assert (output / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    assert after.calibration == made
    assert made.chromosome_threshold == pytest.approx(0.5 + 5 * 0.5 / 99)
    assert made.chromosomes_kept == pytest.approx(0.95)
    assert made.chromosome_fitted_on == ("select",)
    assert made.accept_threshold == before.calibration.accept_threshold
    assert after.card.name == before.card.name


def test_another_calibration_can_be_given(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"temperature": 2.0, "fitted_on": ["fold1"]}))
    made = recalibrate(
        bundle, output=tmp_path / "new", plan=RecalibrationPlan(calibration=tmp_path / "c.json")
    )
    assert (made.temperature, made.chromosome_threshold) == (2.0, None)


def test_a_bundle_is_never_overwritten(bundle: Path, scores: Path) -> None:
    with pytest.raises(BundleError, match="never overwritten"):
        recalibrate(bundle, output=bundle, plan=RecalibrationPlan(metaphases=scores))


@pytest.mark.parametrize("content", ["path\nx\n", "path,case,source,fold,n_chromosomes\nx,c,s,f,1\n"])
def test_a_folder_that_is_no_evaluation_of_metaphases_is_refused(scores: Path, content: str) -> None:
    (scores / CHANCES_TABLE).write_text(content)
    with pytest.raises(SupcamError, match="no table of objects"):
        read_chances(scores)
    (scores / CHANCES_TABLE).unlink()
    with pytest.raises(SupcamError, match="no table of objects"):
        read_chances(scores)


def test_the_command_says_what_the_threshold_does(bundle: Path, scores: Path, tmp_path: Path) -> None:
    done = supcam_("recalibrate", bundle, "--metaphases", scores, "--output", tmp_path / "n", "--keep", "0.9")
    assert done.exit_code == 0, done.output
    assert "keeps 90.00% of the chromosomes" in done.stderr
    again = supcam_("recalibrate", bundle, "--metaphases", scores, "--output", tmp_path / "n")
    assert again.exit_code == 2
