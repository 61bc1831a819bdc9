from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from supcam.core.types import ClusterType, ConfigError
from supcam.pack.bundle import DEFAULT_MODEL
from supcam.pack.card import parse_object
from supcam.spread.schema import ANALYSIS, PREDICTIONS, SCHEMAS, read_schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(read_schema(name))


@pytest.mark.parametrize(("name", "version"), [("analysis", ANALYSIS), ("predictions", PREDICTIONS)])
def test_a_schema_takes_its_version_and_later_minor_ones(name: str, version: str) -> None:
    schema = read_schema(name)
    check = jsonschema.Draft202012Validator(schema["properties"]["schema"])
    number = version.rpartition("/")[2]
    assert schema["$id"] == f"urn:supcam:schema:{name}:{number}"
    assert check.is_valid(version)
    assert check.is_valid(f"supcam.{name}/1.17")
    assert not check.is_valid(f"supcam.{name}/2.0")
    assert not check.is_valid(f"supcam.other/{number}")


@pytest.mark.parametrize("name", ["analysis", "predictions"])
def test_types_are_those_of_the_tables(name: str) -> None:
    part = "object" if name == "analysis" else "prediction"
    types = read_schema(name)["$defs"][part]["properties"]["type"]["enum"]
    assert types == [*(kind.label for kind in ClusterType), "rejected"]


@pytest.mark.parametrize("name", ["card", "calibration"])
def test_the_models_own_files_are_what_their_schemas_say(name: str) -> None:
    text = (DEFAULT_MODEL / f"{name}.json").read_bytes()
    values: dict[str, Any] = parse_object(text, where=name)
    check = jsonschema.Draft202012Validator(read_schema(name))
    check.validate(values)
    assert not check.is_valid(values | {"unheard_of": 1})


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="'objects'"):
        read_schema("objects")
