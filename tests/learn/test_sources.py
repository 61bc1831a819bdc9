from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.drawn_pieces import drawn_region

from supcam.core.config import parse_config
from supcam.core.crop import network_input
from supcam.core.types import ClusterType, CompositionError, ConfigError, ManifestError, Region
from supcam.data.harvest import EMPTY, Harvest
from supcam.data.synthesis import draw_chromosome, draw_cluster, draw_preparation, to_grey
from supcam.learn.batches import UNKNOWN, Example
from supcam.learn.mixing import MixedSource, Pool, example_of, pool_of
from supcam.learn.recipe import Recipe
from supcam.learn.sources import (
    build_sources,
    harvest_parts,
    read_sources,
    source_of,
)
from supcam.learn.stages import read_stages

SINGLE, TOUCH, OVERLAP, BOTH = ClusterType
HEADER = "path,case,type,n_chromosomes\n"


def harvest(*, n_clusters: int = 3) -> Harvest:
    singles = tuple(drawn_region(seed, case=0) for seed in range(10))
    typed = tuple(replace(region, type=TOUCH, n_chromosomes=2) for region in singles[:n_clusters])
    counted = tuple(replace(region, type=None, n_chromosomes=5) for region in singles[:n_clusters])
    dirt = tuple(
        replace(region, type=None, n_chromosomes=None, is_chromosome=False) for region in singles[:2]
    )
    return replace(EMPTY, singles=singles, clusters=typed + counted, debris=dirt)


def source(*, data: Mapping[str, object], found: Harvest | None = None) -> MixedSource:
    recipe = Recipe.model_validate({"data": data})
    return source_of(harvest() if found is None else found, stages=read_stages(recipe))


def members(pool: Pool | None) -> list[Region]:
    return [] if pool is None else [region for group in pool.groups for region in group]


def kind_of(example: Example) -> str:
    if not example.is_chromosome:
        return "debris"
    if example.type == UNKNOWN:
        return "counted cluster"
    return ClusterType(example.type).label


# Stages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "value", "named"),
    [
        ("data", {"rot": "x"}, r"\[data\]"),
        ("composition", {"touch_depth": 0.9}, r"\[composition\]"),
        ("composition", {"touch_shares": {"crossing": 1.0}}, "touch_shares"),
        ("views", {"gamma": [0, 1]}, r"\[views\]"),
        ("data", {"sources": {"a": {"source": "a"}}}, "sources.a.path"),
    ],
)
def test_wrong_tables_are_named(table: str, value: dict[str, object], named: str) -> None:
    recipe = Recipe.model_validate({table: value})
    with pytest.raises(ConfigError, match=named):
        read_stages(recipe)


def test_stages_share_one_crop() -> None:
    stages = read_stages(Recipe.model_validate({"crop": {"size_px": 96}}))
    assert stages.crop is stages.recipe.crop
    assert stages.crop.size_px == 96


# Mixing ---------------------------------------------------------------------------------------------------


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
    seen = Counter(kind_of(mixed.draw(np.random.default_rng([1, i]))) for i in range(600))
    composed = read_stages(Recipe()).composition.type_shares
    expected = {
        "debris": 0.15,
        "counted cluster": 0.25,
        **{kind.label: 0.4 * share for kind, share in zip(ClusterType, composed, strict=True)},
    }
    expected["instance"] += 0.2
    for kind, share in expected.items():
        assert seen[kind] / 600 == pytest.approx(share, abs=3.5 * np.sqrt(share * (1 - share) / 600))


def test_share_of_an_empty_pool_goes_to_compositions() -> None:
    singles_only = replace(harvest(), clusters=(), debris=())
    mixed = source(
        data={"single_share": 0.0, "cluster_share": 0.5, "debris_share": 0.4, "typed_clusters": True},
        found=singles_only,
    )
    seen = Counter(kind_of(mixed.draw(np.random.default_rng([2, i]))) for i in range(60))
    assert set(seen) <= {kind.label for kind in ClusterType}


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_clusters_are_used_only_when_asked_for(typed: bool, counted: bool) -> None:
    mixed = source(data={"typed_clusters": typed, "counted_clusters": counted})
    kinds = Counter(region.type for region in members(mixed.clusters))
    assert kinds == Counter({TOUCH: 3 * typed, None: 3 * counted})


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


def test_nothing_to_compose_from_is_an_error() -> None:
    with pytest.raises(CompositionError, match="0 pieces"):
        source(data={}, found=replace(harvest(), singles=()))


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


# From disk ------------------------------------------------------------------------------------------------


def write_grey(path: Path, stain: np.ndarray, *, rng: np.random.Generator) -> None:
    done, content = cv2.imencode(".png", to_grey(np.pad(stain, 12), rng=rng))
    assert done
    path.write_bytes(content.tobytes())


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Two cases of a laboratory, eight singles and a cluster each, and the roles of both."""
    data = tmp_path / "data"
    data.mkdir()
    rows = []
    for case in ("a", "b"):
        rng = np.random.default_rng([7, ord(case)])
        slide = draw_preparation(rng)
        for i in range(8):
            write_grey(data / f"{case}{i}.png", draw_chromosome(rng, preparation=slide).stain, rng=rng)
            rows.append(f"{case}{i}.png,{case},instance,1")
        cluster = draw_cluster(rng, type=TOUCH, n_chromosomes=2, preparation=slide)
        write_grey(data / f"{case}9.png", cluster.stain, rng=rng)
        rows.append(f"{case}9.png,{case},touching,2")
    (data / "labels.csv").write_text(HEADER + "\n".join(rows) + "\n")
    (tmp_path / "roles.csv").write_text("source,case,role\nlab,a,train\nlab,b,select\n")
    return tmp_path


def recipe_on(disk: Path, **data: object) -> Recipe:
    table: dict[str, object] = {
        "root": str(disk / "data"),
        "train": ["lab:train"],
        "validation": {"watch": ["lab:select"]},
        "sources": {"ours": {"source": "lab", "path": "labels.csv", "layout": "csv"}},
        **data,
    }
    return parse_config(Recipe, {"data": table}, where="a test")


def test_parts_are_learnt_from_and_watched_by_role(disk: Path) -> None:
    ticks: list[int] = []
    sources = build_sources(recipe_on(disk), folder=disk, tick=lambda: ticks.append(1))
    assert len(ticks) == 18
    assert isinstance(sources.train, MixedSource)
    assert [region.case for region in members(sources.train.singles)] == ["a"] * 8
    watched = sources.validation["watch"]
    assert sorted(example.type for example in watched) == [0] * 8 + [1]
    assert {example.count for example in watched} == {1, 2}
    example = sources.train.draw(np.random.default_rng(0))
    assert example.picture.shape == (1, 128, 128)


def test_root_may_be_named_by_the_environment(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURES", str(disk / "data"))
    recipe = recipe_on(disk, root="$PICTURES")
    assert len(read_sources(read_stages(recipe).data).samples) == 18
    monkeypatch.delenv("PICTURES")
    with pytest.raises(ConfigError, match=r"root '\$PICTURES' that is not set"):
        read_sources(read_stages(recipe).data)


@pytest.mark.parametrize("part", ["lab:report", "elsewhere:train", "lab"])
def test_part_without_a_picture_is_an_error(disk: Path, part: str) -> None:
    with pytest.raises(ConfigError, match=f"part '{part}' without a picture"):
        build_sources(recipe_on(disk, train=[part]), folder=disk)


def test_case_without_a_role_is_an_error(disk: Path) -> None:
    (disk / "roles.csv").write_text("source,case,role\nlab,a,train\n")
    with pytest.raises(ManifestError, match="case 'b' of source 'lab' without a role"):
        build_sources(recipe_on(disk), folder=disk)


def test_same_picture_on_two_sides_is_an_error(disk: Path) -> None:
    data = disk / "data"
    (data / "b0.png").write_bytes((data / "a0.png").read_bytes())
    with pytest.raises(ManifestError, match="1 pictures on two sides of the split"):
        build_sources(recipe_on(disk), folder=disk)


def test_hash_of_the_data_changes_with_pictures_labels_and_roles_and_with_nothing_else(disk: Path) -> None:
    def digest(**data: object) -> str:
        return build_sources(recipe_on(disk, **data), folder=disk).data_hash

    table = disk / "data" / "labels.csv"
    text = table.read_text()
    first = digest()
    assert digest() == first
    table.write_text(HEADER + "\n".join(reversed(text.splitlines()[1:])) + "\n")
    assert digest() == first, "the order of the table says nothing"
    table.write_text(text.replace("a9.png,a,touching,2", "a9.png,a,overlapping,2"))
    relabelled = digest()
    table.write_text(text)
    fewer = digest(validation={})
    (disk / "roles.csv").write_text("source,case,role\nlab,b,train\nlab,a,select\n")
    swapped = digest()
    (disk / "data" / "b1.png").write_bytes((disk / "data" / "b2.png").read_bytes())
    other_picture = digest()
    assert len({first, relabelled, fewer, swapped, other_picture}) == 5


def test_picture_that_cannot_be_read_is_left_out(disk: Path) -> None:
    (disk / "data" / "a3.png").write_text("no picture")
    stages = read_stages(recipe_on(disk))
    from supcam.data.split import read_roles

    found = harvest_parts(
        read_sources(stages.data), roles=read_roles(disk / "roles.csv"), parts=["lab:train"], stages=stages
    )
    assert len(found.singles) == 7
    assert [one.path.name for one in found.left_out] == ["a3.png"]
