from __future__ import annotations

from pathlib import Path

from tests.service import picture_bytes, post_pictures, service_config, serving


def test_requests_are_counted_by_route_and_jobs_by_state(tmp_path: Path, model_folder: Path) -> None:
    with serving(service_config(tmp_path, model=model_folder)) as client:
        post_pictures(client, picture_bytes(0))
        job = client.get("/api/v1/jobs").json()["items"][0]["id"]
        client.get(f"/api/v1/jobs/{job}")
        client.get("/nowhere/K-0042")
        text = client.get("/metrics").text
    assert 'supcam_requests_total{method="GET",route="/api/v1/jobs/{job_id}",status="200"} 1.0' in text
    assert 'supcam_jobs{state="queued"} 1.0' in text
    assert "supcam_workers 0.0" in text
    assert job not in text
    assert "K-0042" not in text
