from __future__ import annotations

import pickle

import numpy as np
import pytest

from supcam.core.types import ClusterType, ConfigError
from supcam.learn.batches import TrainingSources
from supcam.learn.drawn import DrawnConfig, drawn_harvest, drawn_sources
from supcam.learn.recipe import Recipe


def recipe(**drawn: object) -> Recipe:
    few = {"cases": 2, "singles_per_case": 3, "debris_per_case": 1, "validation_cases": 2}
    data = {"debris_share": 0.3, "single_share": 0.0, "drawn": {**few, **drawn}}
    return Recipe.model_validate({"crop": {"size_px": 64, "width_px": 7.0}, "data": data})


@pytest.fixture(scope="module")
def sources() -> TrainingSources:
    return drawn_sources(recipe())


def test_every_type_is_watched_as_often(sources: TrainingSources) -> None:
    watched = sources.validation["drawn"]
    assert [example.type for example in watched] == 2 * [0, 1, 2, 3]
    assert all((example.count == 1) == (example.type == ClusterType.INSTANCE) for example in watched)
    assert all(example.count >= 3 for example in watched if example.type == ClusterType.TOUCHING_OVERLAPPING)


def test_what_is_drawn_is_a_network_input(sources: TrainingSources) -> None:
    for example in sources.validation["drawn"]:
        assert example.picture.shape == (1, 64, 64)
        assert 0.02 < (example.picture > 0.5).mean() < 0.7, "an object on an empty ground"
        assert example.picture[:, [0, -1]].max() < 0.5, "none of it cut off"


def test_slides_give_as_many_singles_and_flecks_as_asked_for() -> None:
    config = DrawnConfig(cases=2, singles_per_case=3, debris_per_case=1)
    harvest = drawn_harvest(config, recipe=recipe())
    assert [region.case for region in harvest.singles] == ["0"] * 3 + ["1"] * 3
    assert [region.case for region in harvest.debris] == ["0", "1"]
    assert all(region.n_chromosomes == 1 and region.is_chromosome for region in harvest.singles)
    assert not any(region.is_chromosome for region in harvest.debris)


def test_clusters_to_learn_from_are_drawn_when_asked_for() -> None:
    """They come after everything else of their slide, which stays as it was."""
    without, found = (
        drawn_harvest(DrawnConfig(cases=2, singles_per_case=3, clusters_per_case=n), recipe=recipe())
        for n in (0, 2)
    )
    assert without.clusters == ()
    kinds = [ClusterType.TOUCHING, ClusterType.OVERLAPPING, ClusterType.TOUCHING_OVERLAPPING]
    assert [region.type for region in found.clusters] == 2 * 2 * kinds
    assert [region.case for region in found.clusters] == ["0"] * 6 + ["1"] * 6
    first = [region.stain.tobytes() for region in without.singles if region.case == "0"]
    assert first == [region.stain.tobytes() for region in found.singles if region.case == "0"]


def test_step_without_composition_learns_from_drawn_clusters() -> None:
    asked = recipe(clusters_per_case=2)
    data = {**asked.data, "typed_clusters": True, "cluster_share": 0.5, "balanced_types": True}
    uncomposed = asked.train.model_copy(update={"compose": False})
    source = drawn_sources(asked.model_copy(update={"data": data, "train": uncomposed})).train
    seen = {source.draw(np.random.default_rng([8, i])).type for i in range(40)}
    assert seen == {-1, 0, 1, 2, 3}


def test_compositions_and_debris_are_learnt_from(sources: TrainingSources) -> None:
    drawn = [sources.train.draw(np.random.default_rng([7, i])) for i in range(40)]
    assert {example.type for example in drawn} == {-1, 0, 1, 2, 3}
    assert {(example.count, example.is_chromosome) for example in drawn if example.type < 0} == {(-1, 0)}


def test_source_can_be_sent_to_a_worker(sources: TrainingSources) -> None:
    again = pickle.loads(pickle.dumps(sources.train))
    ours, theirs = (source.draw(np.random.default_rng(5)) for source in (sources.train, again))
    np.testing.assert_array_equal(ours.picture, theirs.picture)


def test_same_seed_draws_the_same_and_another_one_does_not(sources: TrainingSources) -> None:
    assert drawn_sources(recipe()).data_hash == sources.data_hash
    assert drawn_sources(recipe(seed=1)).data_hash != sources.data_hash


def test_validation_slides_are_not_training_slides(sources: TrainingSources) -> None:
    """More slides to learn from leave those to be watched on as they were."""
    more = drawn_sources(recipe(cases=3))
    pairs = zip(more.validation["drawn"], sources.validation["drawn"], strict=True)
    assert all(np.array_equal(ours.picture, theirs.picture) for ours, theirs in pairs)
    assert more.data_hash != sources.data_hash


@pytest.mark.parametrize("drawn", [{"slides": 3}, {"cases": 0}, {"synthesis": {"width": 1}}])
def test_wrong_key_or_value_is_refused(drawn: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"\[data\.drawn\]"):
        drawn_sources(recipe(**drawn))


def test_defaults_can_be_used() -> None:
    assert DrawnConfig() == DrawnConfig.model_validate({})
