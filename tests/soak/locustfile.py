"""What clients of a load run do: each a reviewer who never pauses and hands in a crop at times."""

from __future__ import annotations

import itertools
import os
import random
from typing import Any

from locust import HttpUser, constant, task
from tests.soak.pictures import crop_bytes

_FIRST = int(os.environ.get("SUPCAM_SOAK_FIRST_CROP", "0"))
_numbers = itertools.count(_FIRST)


class Reviewer(HttpUser):
    """Looks at objects as the page does, decides on some, hands in a crop in every twenty requests."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """The objects to look at."""
        found = self._items("/api/v1/objects?undecided=false&limit=20")
        self._objects = [item["id"] for item in found if item["has_crop"]]
        self._images = [item["id"] for item in self._items("/api/v1/images?limit=20")]

    def _items(self, place: str) -> list[dict[str, Any]]:
        return list(self.client.get(place, name="look: lists").json()["items"])

    def _object(self) -> str:
        return f"/api/v1/objects/{random.choice(self._objects)}"

    @task(3)
    def list_doubtful(self) -> None:
        """What to look at next."""
        self.client.get("/api/v1/objects?limit=50", name="look: lists")

    @task(2)
    def list_pictures(self) -> None:
        """The pictures with their counts."""
        self.client.get("/api/v1/images?limit=50&order=last", name="look: lists")

    @task(4)
    def look(self) -> None:
        """One object, close up."""
        self.client.get(f"{self._object()}/crop.png", name="look: crop")

    @task(3)
    def look_where(self) -> None:
        """Where the network looked in it."""
        self.client.get(f"{self._object()}/seen", name="look: where the network looked")

    @task(2)
    def look_at_similar(self) -> None:
        """What resembles it."""
        self.client.get(f"{self._object()}/similar", name="look: similar")

    @task(2)
    def look_at_picture(self) -> None:
        """A whole picture."""
        place = f"/api/v1/images/{random.choice(self._images)}"
        self.client.get(f"{place}/picture.png", name="look: picture")

    @task(3)
    def decide(self) -> None:
        """A word on an object."""
        self.client.post(f"{self._object()}/decisions", json={"type": "touching"}, name="decide")

    @task(1)
    def hand_in(self) -> None:
        """A crop that was not there before; that the queue is full is no failure."""
        files = [("files", ("crop.png", crop_bytes(next(_numbers)), "image/png"))]
        with self.client.post("/api/v1/clusters", files=files, name="hand in", catch_response=True) as answer:
            if answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0:
                answer.success()
