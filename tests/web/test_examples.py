from __future__ import annotations

from pathlib import Path

from tests.service import picture_bytes, post_pictures, read_all, service_config, serving

from supcam.web.examples import ANSWERS, PARAMETERS, by_schema
from supcam.web.export import DECISION_COLUMNS, OBJECT_COLUMNS


def test_there_is_an_example_of_every_schema(tmp_path: Path, model_folder: Path) -> None:
    with serving(service_config(tmp_path, model=model_folder)) as client:
        schemas = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert {name for name in schemas if not name.startswith("Body_")} == set(by_schema())
    for name, examples in by_schema().items():
        for example in examples:
            assert set(example) <= set(schemas[name]["properties"]), name
            assert set(schemas[name].get("required", [])) <= set(example), name


def test_examples_of_files_look_like_the_files(tmp_path: Path, model_folder: Path) -> None:
    config = service_config(tmp_path, model=model_folder)
    with serving(config) as client:
        post_pictures(client, picture_bytes(0))
        read_all(config)
        coco = client.get("/api/v1/export/coco.json").json()
    example = ANSWERS["get_coco"]
    assert isinstance(example, dict)
    for key, rows in example.items():
        assert set(rows[0]) <= set(coco[key][0]), key
    for name, columns in (("get_objects_csv", OBJECT_COLUMNS), ("get_decisions_csv", DECISION_COLUMNS)):
        head = str(ANSWERS[name]).splitlines()[0].split(",")
        assert tuple(head) == columns[: len(head)]


def test_examples_of_parameters_are_understood(tmp_path: Path, model_folder: Path) -> None:
    query = {name: value for name, value in PARAMETERS.items() if not name.endswith("_id")}
    with serving(service_config(tmp_path, model=model_folder)) as client:
        for place in ("/api/v1/jobs", "/api/v1/images", "/api/v1/objects"):
            assert (
                client.get(place, params={key: str(value) for key, value in query.items()}).status_code == 200
            )
        for kind in ("job", "image", "object"):
            assert client.get(f"/api/v1/{kind}s/{PARAMETERS[f'{kind}_id']}").status_code == 404
