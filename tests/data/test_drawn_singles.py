from __future__ import annotations

from collections import Counter

import numpy as np

from supcam.core.types import ClusterType
from supcam.data.drawn_singles import DrawnSingles, draw_singles
from supcam.data.piece import prepare
from supcam.data.synthesis import SynthesisConfig


def test_singles_of_a_slide_share_its_width_and_can_be_composed() -> None:
    plan = DrawnSingles(slides=2, each=5)
    regions = draw_singles(plan, seed=1)
    assert Counter(region.case for region in regions) == {"0": 5, "1": 5}
    assert [len({region.width_px for region in regions if region.case == case}) for case in "01"] == [1, 1]
    for region in regions:
        assert (region.type, region.n_chromosomes, region.source) == (ClusterType.INSTANCE, 1, "drawn")
        assert prepare(region, config=plan.foreground) is not None


def test_singles_follow_from_the_seed() -> None:
    plan = DrawnSingles(slides=1, each=3)
    first, again, other = (draw_singles(plan, seed=seed) for seed in (4, 4, 5))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.stain, same.stain)
        assert one.stain.shape != different.stain.shape or not np.array_equal(one.stain, different.stain)


def test_widths_are_those_that_were_asked_for() -> None:
    plan = DrawnSingles(slides=3, each=2, synthesis=SynthesisConfig(width_px=(20, 24), length_px=(60, 90)))
    for region in draw_singles(plan, seed=0):
        assert 20 <= region.width_px <= 24
