from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from tests.drawn_pieces import drawn_region
from tests.harvested import harvest

from supcam.core.crop import network_input
from supcam.core.types import ClusterType, ConfigError, Region
from supcam.data.harvest import Harvest
from supcam.learn.batches import UNKNOWN, Example, ExampleSource
from supcam.learn.mixing import MixedSource, RealSource, example_of, pool_of
from supcam.learn.recipe import Recipe
from supcam.learn.sources import source_of, uncomposed_source
from supcam.learn.stages import read_stages

SINGLE, TOUCH, OVERLAP, BOTH = ClusterType
STILL: dict[str, object] = {
    "blur_px": [0, 0], "sharpen": 0, "noise": 0, "banding": [1, 1], "gamma": [1, 1], "pedestal": 0,
    "speck_share": 0, "shift_px": 0,
}  # fmt: skip
"""Views that turn and mirror a picture, and change nothing else."""


def source(*, data: Mapping[str, object], found: Harvest | None = None, **tables: object) -> MixedSource:
    recipe = Recipe.model_validate({"data": data, **tables})
    return source_of(harvest() if found is None else found, stages=read_stages(recipe))


def real(*, data: Mapping[str, object], found: Harvest | None = None, **tables: object) -> RealSource:
    recipe = Recipe.model_validate({"data": data, **tables})
    return uncomposed_source(harvest() if found is None else found, stages=read_stages(recipe))


def kind_of(example: Example) -> str:
    if not example.is_chromosome:
        return "debris"
    if example.type == UNKNOWN:
        return "counted cluster"
    return ClusterType(example.type).label


def shares_of(drawn: ExampleSource, *, n: int = 600) -> dict[str, float]:
    """How often each kind comes."""
    seen = Counter(kind_of(drawn.draw(np.random.default_rng([1, i]))) for i in range(n))
    return {kind: times / n for kind, times in seen.items()}


def test_samples_come_in_the_configured_shares() -> None:
    """Clusters of the wrong kind are in no pool: only counted ones are asked for here."""
    mixed = source(
        data={
            "single_share": 0.2,
            "cluster_share": 0.25,
            "debris_share": 0.15,
            "counted_clusters": True,
        }
    )
    seen = shares_of(mixed)
    composed = read_stages(Recipe()).composition.type_shares
    expected = {
        "debris": 0.15,
        "counted cluster": 0.25,
        **{kind.label: 0.4 * share for kind, share in zip(ClusterType, composed, strict=True)},
    }
    expected["instance"] += 0.2
    for kind, share in expected.items():
        assert seen[kind] == pytest.approx(share, abs=3.5 * np.sqrt(share * (1 - share) / 600))


def test_share_of_an_empty_pool_goes_to_compositions() -> None:
    singles_only = replace(harvest(), clusters=(), debris=())
    mixed = source(
        data={"single_share": 0.0, "cluster_share": 0.5, "debris_share": 0.4, "typed_clusters": True},
        found=singles_only,
    )
    seen = Counter(kind_of(mixed.draw(np.random.default_rng([2, i]))) for i in range(60))
    assert set(seen) <= {kind.label for kind in ClusterType}


def test_real_regions_come_by_the_shares_of_their_sources(rng: np.random.Generator) -> None:
    """Thirty of one laboratory, two of another: half and half when so configured."""
    one = drawn_region(0)
    regions = [replace(one, source="many")] * 30 + [replace(one, source="few")] * 2

    def drawn(shares: dict[str, float]) -> Counter[str]:
        pool = pool_of(regions, shares=shares)
        assert pool is not None
        return Counter(pool.draw(rng).source for _ in range(400))

    assert drawn({"many": 0.5, "few": 0.5})["few"] == pytest.approx(200, abs=35)
    assert drawn({})["few"] == pytest.approx(25, abs=18)
    assert drawn({"few": 3.0})["few"] == pytest.approx(300, abs=35), "a source without a share has share 1"
    assert drawn({"many": 0.0}) == {"few": 400}
    assert pool_of([], shares={}) is None
    assert pool_of(regions, shares={"many": 0.0, "few": 0.0}) is None, "no chance at all"


def test_sample_depends_on_its_generator_alone() -> None:
    mixed = source(data={"counted_clusters": True})
    first = [mixed.draw(np.random.default_rng([4, i])) for i in range(12)]
    again = [mixed.draw(np.random.default_rng([4, i])) for i in reversed(range(12))][::-1]
    copied = pickle.loads(pickle.dumps(mixed))
    for i, (one, other) in enumerate(zip(first, again, strict=True)):
        carried = copied.draw(np.random.default_rng([4, i]))
        for each in (other, carried):
            np.testing.assert_array_equal(one.picture, each.picture)
            assert (one.type, one.count, one.is_chromosome) == (each.type, each.count, each.is_chromosome)


def test_composed_and_real_pictures_have_one_shape_and_range() -> None:
    mixed = source(data={"single_share": 0.5, "debris_share": 0.2})
    for i in range(30):
        example = mixed.draw(np.random.default_rng([5, i]))
        assert example.picture.shape == (1, 128, 128)
        assert example.picture.dtype == np.float32
        assert 0 <= example.picture.min() <= example.picture.max() <= 2.5
        level = float((example.picture**2).sum() / example.picture.sum())
        assert level == pytest.approx(1.0, abs=0.12)


def test_example_says_what_is_known() -> None:
    region = drawn_region(0)
    picture = network_input(region, config=read_stages(Recipe()).crop)

    def labels(changed: Region) -> tuple[int, int, int]:
        example = example_of(changed, picture=picture)
        assert example.picture.shape == (1, *picture.shape)
        return example.type, example.count, example.is_chromosome

    assert labels(region) == (0, 1, 1)
    assert labels(replace(region, type=BOTH, n_chromosomes=None)) == (3, UNKNOWN, 1)
    assert labels(replace(region, type=None, n_chromosomes=7)) == (UNKNOWN, 7, 1)
    assert labels(replace(region, type=None, n_chromosomes=None, is_chromosome=False)) == (
        UNKNOWN,
        UNKNOWN,
        0,
    )


# Two views of one picture ---------------------------------------------------------------------------------


def sources_of_both_kinds(*, views: Mapping[str, object] | None = None) -> list[ExampleSource]:
    data = {"single_share": 0.3, "cluster_share": 0.3, "typed_clusters": True, "counted_clusters": True}
    views = views or {}
    return [source(data=data, views=views), real(data=data, views=views)]


def test_query_is_what_draw_gives_and_the_key_is_another_view_with_the_same_label() -> None:
    for drawn in sources_of_both_kinds():
        for i in range(20):
            alone = drawn.draw(np.random.default_rng([6, i]))
            pair = drawn.draw_pair(np.random.default_rng([6, i]))
            np.testing.assert_array_equal(pair.query.picture, alone.picture)
            assert not np.array_equal(pair.key.picture, alone.picture)
            assert pair.key.picture.shape == alone.picture.shape
            for field in ("type", "count", "is_chromosome"):
                assert getattr(pair.query, field) == getattr(pair.key, field) == getattr(alone, field)


def test_both_views_show_one_picture_composed_once_at_one_scale() -> None:
    """With views that only turn it, both hold the same pixels, but for the rounding of their level."""
    for drawn in sources_of_both_kinds(views=STILL):
        turned = 0
        for i in range(20):
            pair = drawn.draw_pair(np.random.default_rng([7, i]))
            np.testing.assert_allclose(
                np.sort(pair.query.picture, None), np.sort(pair.key.picture, None), rtol=1e-6
            )
            turned += not np.array_equal(pair.query.picture, pair.key.picture)
        assert turned > 10, "each view is turned on its own"


# Without composition --------------------------------------------------------------------------------------


def test_real_pictures_alone_come_in_proportion_to_their_shares() -> None:
    data = {"single_share": 0.1, "cluster_share": 0.2, "debris_share": 0.1, "typed_clusters": True}
    seen = shares_of(real(data=data))
    assert seen == pytest.approx({"instance": 0.25, "touching": 0.5, "debris": 0.25}, abs=0.06)


def test_balanced_types_come_as_often_as_each_other() -> None:
    """Ten single chromosomes, two touching, one overlapping, three of unknown type."""
    found = harvest(n_clusters=2)
    one = drawn_region(3)
    others = (replace(one, type=OVERLAP, n_chromosomes=2), replace(one, type=None, n_chromosomes=3))
    data = {
        "single_share": 0.3, "cluster_share": 0.5, "debris_share": 0.2, "balanced_types": True,
        "typed_clusters": True, "counted_clusters": True,
    }  # fmt: skip
    drawn = real(data=data, found=replace(found, clusters=(*found.clusters, *others)))
    kinds = ("instance", "touching", "overlapping", "counted cluster", "debris")
    assert shares_of(drawn) == pytest.approx(dict.fromkeys(kinds, 0.2), abs=0.06)


def test_real_sample_depends_on_its_generator_alone() -> None:
    drawn = real(data={"typed_clusters": True})
    copied = pickle.loads(pickle.dumps(drawn))
    for i in range(6):
        one, other = (each.draw(np.random.default_rng([4, i])) for each in (drawn, copied))
        np.testing.assert_array_equal(one.picture, other.picture)
        assert (one.type, one.count) == (other.type, other.count)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({}, "only instance to learn from without composition"),
        ({"typed_clusters": True, "cluster_share": 0.0}, "only instance to learn from"),
        ({"typed_clusters": True, "single_share": 0.0}, "only touching to learn from"),
        ({"single_share": 0.0, "debris_share": 0.0}, "nothing to learn from"),
    ],
)
def test_nothing_left_to_tell_apart_is_an_error(data: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        real(data=data)
    with pytest.raises(ConfigError, match=r"only|nothing"):
        real(data={**data, "balanced_types": True, "typed_clusters": False})


def test_sources_without_a_chance_are_not_counted_on() -> None:
    found = harvest()
    clusters = tuple(replace(one, source="far") for one in found.clusters)
    with pytest.raises(ConfigError, match="only instance"):
        real(
            data={"typed_clusters": True},
            found=replace(found, clusters=clusters),
            composition={"source_shares": {"far": 0.0, "near": 1.0}},
        )
