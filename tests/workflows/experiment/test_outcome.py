from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny_experiment import Invented, invent, invented_answer, invented_truth, write_plan

from supcam.core.types import Box, ClusterType, ManifestError, Region
from supcam.workflows.experiment.outcome import (
    Outcome,
    read,
    read_outcome,
    read_truth,
    spent_seconds,
    table_of,
    truth_of,
    written,
)
from supcam.workflows.experiment.plan import RESULTS

PARTS = ("lab:fold1", "lab:fold2")


@given(st.lists(st.integers(-1, 35)))
def test_numbers_are_read_as_they_were_written(numbers: list[int]) -> None:
    assert read(written(numbers)).tolist() == numbers


def test_number_beyond_the_signs_is_the_last_of_them() -> None:
    assert read(written([34, 35, 36, 400])).tolist() == [34, 35, 35, 35]


def region(**known: object) -> Region:
    pixels = np.zeros((4, 4), np.float32)
    return Region(stain=pixels, mask=pixels > 0, box=Box(0, 0, 4, 4), width_px=1.0, **known)  # type: ignore[arg-type]


def test_truth_holds_what_is_known_of_regions_in_their_order() -> None:
    truth = truth_of(
        [
            region(source="lab", case="b", type=ClusterType.OVERLAPPING, n_chromosomes=2),
            region(source="lab", case="a", type=ClusterType.INSTANCE, n_chromosomes=1),
            region(source="lab", case="b", type=None, n_chromosomes=4),
            region(source="far", case="b", type=ClusterType.TOUCHING, n_chromosomes=None),
        ],
        parts=["lab:select"],
    )
    assert truth.cases == (("far", "b"), ("lab", "a"), ("lab", "b"))
    assert (truth.case_of, truth.types, truth.counts) == ((2, 1, 2, 0), "20-1", "214-")


def test_table_has_the_answers_beside_the_truth() -> None:
    truth = invented_truth(PARTS)
    table = table_of(invented_answer(truth, invented=Invented(n_right=9), seed=1), truth=truth, fold="folds")
    assert list(table.cases) == ["c"] * 10 + ["d"] * 10
    assert table.true_types[:10].tolist() == [0] * 8 + [1, -1]
    assert table.predicted_types[:10].tolist() == [3] + [0] * 7 + [1, 1]
    assert table.predicted_counts[:10].tolist() == [3] + [1] * 7 + [2, 2]
    assert set(table.folds) == {"folds"}


@pytest.mark.parametrize("column", ["types", "counts"])
def test_answers_to_other_pictures_are_refused(column: str) -> None:
    truth = invented_truth(PARTS)
    answered = invented_answer(truth, invented=Invented(n_right=9), seed=1)
    fewer = answered.model_copy(update={column: getattr(answered, column)[1:]})
    with pytest.raises(ManifestError, match=r"19 .*one of each for the 20 pictures"):
        table_of(fewer, truth=truth, fold="folds")


def outcomes(folder: Path, *rows: str) -> list[Outcome]:
    bench = write_plan(folder)
    found = [read_outcome(path.parent, name=path.stem) for row in rows for path in invent(bench, row=row)]
    return [one for one in found if one is not None]


def test_step_1_that_several_share_is_spent_once(tmp_path: Path) -> None:
    found = outcomes(tmp_path, "plain", "full", "probe")
    assert len(found) == 3
    assert spent_seconds(found) == 3 * 64 + 32
    unknown = [one.model_copy(update={"train_seconds": None}) for one in found]
    assert spent_seconds(unknown) == 32


def test_result_and_truth_are_read_as_they_were_written(tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path, "plain")
    results = tmp_path / "tiny" / RESULTS
    truth = read_truth(results, named=outcome.sets["folds"].truth)
    assert truth == invented_truth(PARTS)
    assert outcome.fold is None
    assert {path.name for path in results.iterdir()} == {
        "plain_seed1.json",
        *(f"truth_{one.truth}.json" for one in outcome.sets.values()),
    }


def test_result_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_outcome(tmp_path, name="plain_seed1") is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"row"', '"raw"'),
        lambda text: text.replace('"format_version": 1', '"format_version": 2'),
        lambda text: text.replace('"types": "3', '"types": "7'),
    ],
    ids=["cut", "renamed", "newer", "impossible"],
)
def test_damaged_result_is_named(tmp_path: Path, spoil: object) -> None:
    outcomes(tmp_path, "plain")
    path = tmp_path / "tiny" / RESULTS / "plain_seed1.json"
    assert callable(spoil)
    spoilt = spoil(path.read_text())
    assert spoilt != path.read_text()
    path.write_text(spoilt)
    with pytest.raises(ManifestError, match=r"plain_seed1\.json"):
        read_outcome(path.parent, name="plain_seed1")


def test_truth_that_is_missing_or_changed_is_named(tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path, "plain")
    named = outcome.sets["folds"].truth
    path = tmp_path / "tiny" / RESULTS / f"truth_{named}.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "counts": values["counts"].replace("2", "3")}))
    with pytest.raises(ManifestError, match="a truth of hash"):
        read_truth(path.parent, named=named)
    path.unlink()
    with pytest.raises(ManifestError, match="no such file"):
        read_truth(path.parent, named=named)
