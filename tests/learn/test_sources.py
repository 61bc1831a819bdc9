from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from tests.drawn_laboratory import HEADER, write_laboratory
from tests.harvested import harvest

from supcam.core.config import parse_config
from supcam.core.crop import network_input
from supcam.core.types import ClusterType, CompositionError, ConfigError, ManifestError, Region
from supcam.data.harvest import Harvest
from supcam.learn.batches import TrainingSources
from supcam.learn.mixing import MixedSource, Pool, RealSource
from supcam.learn.recipe import Recipe
from supcam.learn.sources import (
    PartsReader,
    build_sources,
    pieces_of,
    read_sources,
    source_of,
    sources_of,
)
from supcam.learn.stages import read_stages

TOUCH = ClusterType.TOUCHING


def source(*, data: Mapping[str, object], found: Harvest | None = None) -> MixedSource:
    recipe = Recipe.model_validate({"data": data})
    return source_of(harvest() if found is None else found, stages=read_stages(recipe))


def members(pool: Pool | None) -> list[Region]:
    return [] if pool is None else [region for group in pool.groups for region in group]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_clusters_are_used_only_when_asked_for(typed: bool, counted: bool) -> None:
    mixed = source(data={"typed_clusters": typed, "counted_clusters": counted})
    kinds = Counter(region.type for region in members(mixed.clusters))
    assert kinds == Counter({TOUCH: 3 * typed, None: 3 * counted})


def test_nothing_to_compose_from_is_an_error() -> None:
    with pytest.raises(CompositionError, match="0 pieces"):
        source(data={}, found=replace(harvest(), singles=()))


def steps(*, train: bool, pretrain: bool | None, **data: object) -> TrainingSources:
    """Sources of a recipe whose steps compose or do not; without step 1 where that is None."""
    tables: dict[str, object] = {"data": data, "train": {"compose": train}}
    if pretrain is not None:
        tables["pretrain"] = {"compose": pretrain}
    stages = read_stages(Recipe.model_validate(tables))
    return sources_of(harvest(), validation={}, data_hash="", stages=stages)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("pretrain", [True, False, None])
def test_each_step_composes_or_does_not(train: bool, pretrain: bool | None) -> None:
    found = steps(train=train, pretrain=pretrain, typed_clusters=True)
    assert isinstance(found.train, MixedSource if train else RealSource)
    if pretrain is None:
        assert found.pretrain is None
    else:
        assert isinstance(found.pretrain, MixedSource if pretrain else RealSource)


def test_step_without_composition_or_clusters_is_refused_before_anything_is_learnt() -> None:
    with pytest.raises(ConfigError, match="only instance to learn from without composition"):
        steps(train=True, pretrain=False)


def test_contrast_without_composition_needs_types_and_the_classifier_takes_numbers() -> None:
    assert isinstance(steps(train=False, pretrain=None, counted_clusters=True).train, RealSource)
    with pytest.raises(ConfigError, match="only instance to learn from without composition"):
        steps(train=False, pretrain=False, counted_clusters=True)


# From disk ------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Two cases of a laboratory, eight singles and a cluster each, and the roles of both."""
    write_laboratory(tmp_path, roles={"a": "train", "b": "select"})
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


def test_numbered_folders_are_read_by_the_map_of_the_recipe(tmp_path: Path) -> None:
    for name in ("7/a.png", "1/b.png"):
        (tmp_path / "chr" / name).parent.mkdir(parents=True)
        (tmp_path / "chr" / name).write_text(name)
    table = {"source": "chr", "path": "chr", "layout": "chrcluster"}

    def types(**more: object) -> dict[str, ClusterType | None]:
        recipe = recipe_on(tmp_path, root=str(tmp_path), sources={"chr": {**table, **more}})
        again = Recipe.model_validate(recipe.model_dump(mode="json"))
        found = read_sources(read_stages(again).data)
        return {sample.path.name: sample.type for sample in found.samples}

    labels = {"7": "overlapping", "1": "instance"}
    assert types(label_map=labels) == {"a.png": ClusterType.OVERLAPPING, "b.png": ClusterType.INSTANCE}
    with pytest.raises(ManifestError, match="label map"):
        types()
    with pytest.raises(ConfigError, match="heap"):
        types(label_map={"7": "heap"})


def test_a_source_may_have_a_root_and_one_role_of_its_own(disk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_laboratory(other, roles={"c": "report", "d": "report"})
    sources = {
        "ours": {"source": "lab", "path": "labels.csv"},
        "theirs": {"source": "drawn", "path": "labels.csv", "root": str(other / "data"), "role": "train"},
    }
    sources_read = build_sources(recipe_on(disk, train=["drawn:train"], sources=sources), folder=disk)
    assert isinstance(sources_read.train, MixedSource)
    found = members(sources_read.train.singles)
    assert {region.source for region in found} == {"drawn"}
    assert {region.case for region in found} == {"c", "d"}
    sources["theirs"]["role"] = "trian"
    with pytest.raises(ConfigError, match="the role 'trian' of a source"):
        build_sources(recipe_on(disk, train=["drawn:train"], sources=sources), folder=disk)


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
    found = PartsReader(folder=disk).harvest(recipe_on(disk), parts=["lab:train"])
    assert len(found.singles) == 7
    assert [one.path.name for one in found.left_out] == ["a3.png"]


def test_parts_are_harvested_once_for_all_recipes_that_read_them_alike(disk: Path) -> None:
    reader, recipe = PartsReader(folder=disk), recipe_on(disk)
    first = reader.harvest(recipe, parts=["lab:train"])
    other = recipe.model_copy(update={"crop": recipe.crop.model_copy(update={"size_px": 64})})
    assert reader.harvest(other, parts=["lab:train"]).singles[0] is first.singles[0]
    looser = recipe.foreground.model_copy(update={"segmentation_level": 0.3})
    read_anew = recipe.model_copy(update={"foreground": looser})
    assert reader.harvest(read_anew, parts=["lab:train"]).singles[0] is not first.singles[0]


def test_pieces_are_made_once_for_recipes_that_compose_alike(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mock(wraps=pieces_of)
    monkeypatch.setattr("supcam.learn.sources.pieces_of", made)
    reader, recipe = PartsReader(folder=disk), recipe_on(disk)
    for seed in (1, 2):
        reader.sources(recipe.seeded(seed))
    assert made.call_count == 1
    for share in (0.0, 0.5):
        reader.sources(recipe.model_copy(update={"composition": {"bent_share": share}}))
    assert made.call_count == 3


def test_examples_are_what_the_network_sees_of_the_regions_in_their_order(disk: Path) -> None:
    reader, recipe = PartsReader(folder=disk), recipe_on(disk)
    regions = reader.regions(recipe, parts=["lab:select", "lab:train"])
    examples = reader.examples(recipe, parts=["lab:select", "lab:train"])
    assert {one.case for one in regions} == {"a", "b"}
    assert [one.type for one in examples] == [one.type for one in regions]
    expected = network_input(regions[0], config=recipe.crop)
    np.testing.assert_array_equal(examples[0].picture[0], expected)
