"""One frozen model per stage: unknown keys and values out of range stop the program."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from supcam.core import config
from supcam.core.config import (
    CompositionConfig,
    CropConfig,
    ForegroundConfig,
    ImageConfig,
    StageConfig,
    parse_config,
    read_toml,
)
from supcam.core.types import ConfigError
from supcam.learn import config as learn_config

STAGES = [
    value
    for value in {**vars(config), **vars(learn_config)}.values()
    if inspect.isclass(value) and issubclass(value, StageConfig) and value is not StageConfig
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_every_field_says_what_it_is(stage: type[StageConfig]) -> None:
    assert stage.__doc__
    for name, field in stage.model_fields.items():
        assert field.description, f"{stage.__name__}.{name} has no sentence"


def test_defaults_survive_the_way_through_json() -> None:
    for stage in (ImageConfig, ForegroundConfig, CropConfig, CompositionConfig):
        default = stage()
        assert stage.model_validate(json.loads(default.model_dump_json())) == default


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CropConfig().size_px = 64  # type: ignore[misc]


def test_unknown_key_is_named_with_the_known_ones_and_the_place() -> None:
    with pytest.raises(ConfigError, match=r"^here\.toml: found sise_px: .*keys among: size_px, ") as caught:
        parse_config(CropConfig, {"sise_px": 64}, where="here.toml")
    assert isinstance(caught.value.__cause__, ValidationError)


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(CropConfig, {"size_px": 8, "width_px": -1, "scale_rule": "long side"}, where="")
    assert all(name in caught.value.found for name in ("size_px", "width_px", "scale_rule"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "wide", None])
def test_numbers_are_finite_numbers(value: object) -> None:
    with pytest.raises(ConfigError, match="width_px"):
        parse_config(CropConfig, {"width_px": value}, where="")


def test_what_is_no_table_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="the whole"):
        parse_config(CropConfig, [1, 2], where="")


def test_core_lies_within_the_foreground() -> None:
    with pytest.raises(ConfigError, match="core_level"):
        parse_config(ForegroundConfig, {"core_level": 0.1, "segmentation_level": 0.2}, where="")


def test_touching_ends_before_overlapping_begins() -> None:
    with pytest.raises(ConfigError, match="touch_depth"):
        parse_config(CompositionConfig, {"touch_depth": 0.45, "overlap_depth": 0.4}, where="")


def test_toml_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('[crop]\nsize_px = 96\nscale_rule = "square_fit"\n', encoding="utf-8")
    crop = parse_config(CropConfig, read_toml(path)["crop"], where=path)
    assert (crop.size_px, crop.scale_rule) == (96, "square_fit")


@pytest.mark.parametrize("content", [b"[crop\n", b"\xff\xfe", None])
def test_what_cannot_be_read_as_toml_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"recipe\.toml: found "):
        read_toml(path)
