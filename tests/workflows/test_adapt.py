"""``supcam adapt``: objects out of metaphases and crops, and what is refused before anything is learnt."""

from pathlib import Path

import pytest
from tests.drawn_spreads import write_spread

from supcam.core.types import SupcamError
from supcam.data.files import Unreadable
from supcam.learn.recipe import Recipe
from supcam.workflows.adapt import AdaptPlan, _regions, adapt
from supcam.workflows.classify import Listener


def test_objects_carry_the_case_of_their_picture(tmp_path: Path) -> None:
    for case in ("a", "b"):
        write_spread(tmp_path / case / "1.png", seed=ord(case))
    (tmp_path / "b" / "2.png").write_bytes(b"no picture")
    plan = AdaptPlan((str(tmp_path),), weights=tmp_path, output=tmp_path / "out", cases="parent")
    failures: list[Unreadable] = []
    regions = _regions(plan, recipe=Recipe(), failures=failures, listener=Listener())
    assert {one.case for one in regions} == {"a", "b"}
    assert len(regions) > 8
    assert all(one.type is None for one in regions)
    assert [item.path.name for item in failures] == ["2.png"]


def test_an_output_that_is_there_and_weights_that_are_not_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    plan = AdaptPlan((str(tmp_path),), weights=tmp_path / "none.ckpt", output=tmp_path / "out")
    with pytest.raises(SupcamError, match="nothing is overwritten"):
        adapt(plan)
    with pytest.raises(SupcamError, match=r"none\.ckpt"):
        adapt(AdaptPlan(plan.named, weights=plan.weights, output=tmp_path / "new"))
