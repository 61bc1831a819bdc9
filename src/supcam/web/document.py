"""The OpenAPI document: what FastAPI knows of the routes, with examples and with links between operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from supcam.web.examples import ANSWERS, PARAMETERS, by_schema
from supcam.web.problems import MEDIA_TYPE

Node = dict[str, Any]
_OF_IMAGE = ("get_image", "get_picture", "get_overlay", "get_image_objects")
_OF_OBJECT = ("get_object", "get_crop", "get_seen", "get_similar", "get_history", "post_decision")
_FIRST_JOB, _FIRST_ITEM = "$response.body#/jobs/0", "$response.body#/items/0"
_LINKS: dict[str, tuple[tuple[tuple[str, ...], str, str], ...]] = {
    **dict.fromkeys(
        ("post_metaphases", "post_clusters"),
        ((("get_job",), "job_id", f"{_FIRST_JOB}/id"), (_OF_IMAGE, "image_id", f"{_FIRST_JOB}/image_id")),
    ),
    "get_jobs": (
        (("get_job", "post_retry"), "job_id", f"{_FIRST_ITEM}/id"),
        (_OF_IMAGE, "image_id", f"{_FIRST_ITEM}/image_id"),
    ),
    "get_images": ((_OF_IMAGE, "image_id", f"{_FIRST_ITEM}/id"),),
    **dict.fromkeys(("get_image_objects", "get_objects"), ((_OF_OBJECT, "object_id", f"{_FIRST_ITEM}/id"),)),
    "post_decision": ((("get_object", "get_history"), "object_id", "$response.body#/object_id"),),
}
"""Where an answer leads: from which operation, to which ones, with what as which parameter."""


def complete(app: FastAPI) -> None:
    """From now on the document of ``app`` has examples and links, and errors have their own media type."""
    plain = app.openapi

    def openapi() -> Node:
        document = plain()
        for operation in _operations(document):
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            _add_links(operation)
            _add_examples(operation)
        for name, examples in by_schema().items():
            document["components"]["schemas"][name]["examples"] = examples
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(document: Node) -> Iterator[Node]:
    for operations in document["paths"].values():
        yield from operations.values()


def _add_links(operation: Node) -> None:
    links = {
        f"{target}_of_{parameter.removesuffix('_id')}": {
            "operationId": target,
            "parameters": {parameter: value},
        }
        for targets, parameter, value in _LINKS.get(operation["operationId"], ())
        for target in targets
    }
    if links:
        _good_answer(operation)["links"] = links


def _good_answer(operation: Node) -> Node:
    answer: Node = next(answer for status, answer in operation["responses"].items() if int(status) < 300)
    return answer


def _add_examples(operation: Node) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]
    for content in _good_answer(operation).get("content", {}).values():
        if operation["operationId"] in ANSWERS:
            content["example"] = ANSWERS[operation["operationId"]]
