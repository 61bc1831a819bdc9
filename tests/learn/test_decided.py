from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.drawn_decisions import write_export

from supcam.core.types import ClusterType
from supcam.data.decided import DecidedSet, read_decided, unpacked
from supcam.learn.decided import (
    DecidedHarvest,
    decided_recipe,
    decided_sources,
    fitted,
    harvest_decided,
    shown,
)
from supcam.learn.mixing import MixedSource, RealSource
from supcam.learn.recipe import Recipe

NETWORK = Recipe.model_validate({"crop": {"size_px": 32, "width_px": 4.0}})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DecidedHarvest:
    archive = write_export(tmp_path_factory.mktemp("export") / "decisions.zip", n_cases=5)
    with unpacked(archive) as folder:
        decided: DecidedSet = read_decided(folder)
        sure = [s.path for s in decided.typed if s.type is ClusterType.INSTANCE]
        return harvest_decided(decided, sure=sure, recipe=NETWORK)


def test_decided_crops_become_singles_clusters_and_debris(found: DecidedHarvest) -> None:
    harvest = found.harvest
    assert (len(harvest.singles), len(harvest.clusters), len(harvest.debris)) == (30, 10, 5)
    assert found.is_composable


def test_with_sure_singles_clusters_are_composed(found: DecidedHarvest) -> None:
    recipe = fitted(decided_recipe(NETWORK, trained={"composition": {"max_gap_px": 2.0}}), found=found)
    sources = decided_sources(found, recipe=recipe, data_hash="x")
    assert isinstance(sources.train, MixedSource)
    assert recipe.composition == {"max_gap_px": 2.0}
    pictures = shown(sources, n=4, seed=1)
    assert np.array_equal(pictures, shown(sources, n=4, seed=1))
    assert pictures.shape == (4, 1, 32, 32)


def test_without_them_real_objects_alone_are_shown(found: DecidedHarvest) -> None:
    poor = DecidedHarvest(found.harvest, sure=found.sure[:3])
    recipe = fitted(decided_recipe(NETWORK, trained={}), found=poor)
    assert isinstance(decided_sources(poor, recipe=recipe, data_hash="x").train, RealSource)


def test_a_recipe_of_ones_own_keeps_the_network(tmp_path: Path) -> None:
    own = Recipe.model_validate({"crop": {"size_px": 64}, "train": {"epochs": 2}})
    made = decided_recipe(NETWORK, trained={}, own=own)
    assert (made.crop.size_px, made.train.epochs) == (32, 2)
