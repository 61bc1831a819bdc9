from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.commands import supcam_
from tests.tiny_bundle import write_tiny

from supcam.core.look import LOOK
from supcam.core.types import BundleError, SupcamError
from supcam.pack.bundle import load_model
from supcam.pack.card import Familiar
from supcam.pack.looks import LOOKS_TABLE
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


def test_new_words_and_known_looks(bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    folders = [tmp_path / name for name in ("train", "select")]
    for folder in folders:
        folder.mkdir()
        with (folder / LOOKS_TABLE).open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("path", "case", "source", "fold", "read_as", *LOOK))
            for row in rng.normal(size=(150, len(LOOK))):
                writer.writerow(("a.png", "c", "s", folder.name, "touching", *row))
    (tmp_path / "card.toml").write_text('name = "renamed"\nversion = "2.0.0"\n')
    plan = RecalibrationPlan(
        familiar=(folders[0],), familiar_limit=(folders[1],), card=tmp_path / "card.toml"
    )
    made = recalibrate(bundle, output=tmp_path / "new", plan=plan)
    after = load_model(tmp_path / "new", threads=1)
    assert after.calibration == made
    assert made.familiar is not None
    assert (made.familiar.fitted_on, made.familiar.limit_on) == (("train",), ("select",))
    assert made.familiar.kept == pytest.approx(0.99, abs=0.01)
    assert (after.card.name, after.card.version) == ("renamed", "2.0.0")
    assert after.card.heads_trained.chromosome


def test_a_reference_of_another_shape_is_refused() -> None:
    values = {"means": [[0.0] * 12], "precision": [[0.0] * 13] * 13, "limit": 1.0, "kept": 0.99}
    with pytest.raises(ValueError, match="13 columns"):
        Familiar.model_validate(values)
