from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service import service_config, serving

Node = dict[str, Any]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Node]:
    with serving(service_config(tmp_path_factory.mktemp("service"), model=model_folder)) as client:
        yield client.get("/api/v1/openapi.json").json()


def operations(document: Node) -> dict[str, Node]:
    found = [operation for each in document["paths"].values() for operation in each.values()]
    named = {operation["operationId"]: operation for operation in found}
    assert len(named) == len(found)
    return named


def has_example(content: Node, *, document: Node) -> bool:
    """Whether there is an example of it, in its place or with its schema; bytes need none."""
    schema = content["schema"]
    if schema.get("format") == "binary" or "example" in content:
        return True
    inner = schema.get("items", schema)
    name = inner.get("$ref", "").rpartition("/")[2]
    return bool(document["components"]["schemas"].get(name, {}).get("examples"))


def test_everything_that_is_answered_or_asked_has_an_example(document: Node) -> None:
    without = []
    for name, operation in operations(document).items():
        contents = [
            c for answer in operation["responses"].values() for c in answer.get("content", {}).values()
        ]
        body = operation.get("requestBody", {}).get("content", {})
        contents += [content for kind, content in body.items() if kind == "application/json"]
        without += [name for content in contents if not has_example(content, document=document)]
        for parameter in operation.get("parameters", []):
            schema = parameter["schema"]
            if "example" not in parameter and not schema.get("enum"):
                without.append(f"{name} {parameter['name']}")
    assert without == []
    for name in ("Body_post_metaphases", "Body_post_clusters"):
        assert document["components"]["schemas"][name]["properties"]["case"]["examples"] == ["K-0042"]


def test_links_lead_from_what_is_answered_to_what_is_asked(document: Node) -> None:
    known, n_links = operations(document), 0
    for operation in known.values():
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                n_links += 1
                wanted = {parameter["name"] for parameter in known[link["operationId"]]["parameters"]}
                assert set(link["parameters"]) <= wanted
                assert all(value.startswith("$response.body#/") for value in link["parameters"].values())
    assert n_links > 30


def test_every_error_is_a_problem_document(document: Node) -> None:
    for operation in operations(document).values():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], status
