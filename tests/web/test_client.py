from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service import picture_bytes, read_all, service_config, serving

from supcam.core.types import SupcamError
from supcam.web.client import Client, ServiceError
from supcam.web.config import ServiceConfig
from supcam.web.schemas import NewDecision, PurgeOrder


@pytest.fixture
def config(tmp_path: Path, model_folder: Path) -> ServiceConfig:
    return service_config(tmp_path, model=model_folder)


@pytest.fixture
def client(config: ServiceConfig) -> Iterator[Client]:
    with serving(config) as http:
        yield Client(http=http)


def test_a_whole_review_by_the_client(config: ServiceConfig, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture_bytes(0))
    (job,) = client.submit([path], case="K-1").jobs
    with pytest.raises(SupcamError, match="queued"):
        client.wait(job.id, timeout_s=0.0)
    read_all(config)
    assert client.wait(job.id).state == "done"
    assert client.model().model.version == "1.2.3"
    assert client.images().items == (client.image(job.image_id),)
    items = client.objects(job.image_id)
    doubted = client.objects(job.image_id, by_doubt=True)
    assert {item.id for item in doubted} == {item.id for item in items}
    assert client.doubtful(limit=1).items == (doubted[0],)
    one = next(item for item in items if item.has_crop)
    decided = client.decide(one.id, NewDecision(type="touching"))
    assert client.history(one.id) == (decided,)
    assert client.similar(one.id) == ()
    assert client.seen(one.id).side_px > 0
    assert client.agreement() == ()
    assert [each.id for each in client.jobs(state="done").items] == [job.id]
    assert client.jobs(state="queued").items == ()
    for picture in (
        client.picture(job.image_id),
        client.picture(job.image_id, overlay=True),
        client.crop(one.id),
    ):
        assert picture.startswith(b"\x89PNG")
    assert b"touching" in client.export("decisions.csv")
    assert client.purge(PurgeOrder(case="K-1")).n_images == 1


def test_a_problem_is_an_error_that_says_it(client: Client) -> None:
    with pytest.raises(ServiceError, match="404 Not Found") as told:
        client.job("0" * 32)
    assert told.value.problem.status == 404
