"""Pictures of the review page, with a drawn metaphase and the bundled model: ``review_picture.py FOLDER``.

The picture in the documentation: ``review_picture.py docs/images --only review``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from playwright.sync_api import Page
from tests.browser import SIZES, chromium
from tests.service import free_port, served

from supcam.data.synthesis import SynthesisConfig, draw_metaphase
from supcam.pack.before_after import FOLDER
from supcam.web.client import Client
from supcam.web.config import ServiceConfig
from supcam.web.examples import COMPARISON
from supcam.web.schemas import NewDecision

SEED = (7, 3)
N_DECIDED = 7
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGES = ("agreement", "second-look", "export", "model", "models", "login")


def prepare(client: Client, *, folder: Path, data: Path) -> None:
    """Drawn metaphases are read, some of their objects decided as the model says, one otherwise."""
    for number, name in enumerate(("K-0042 spread 1.png", "K-0042 spread 2.png")):
        grey = draw_metaphase(
            np.random.default_rng([*SEED, number] if number else SEED),
            config=SynthesisConfig(n_nuclei=(1, 1)),
        ).grey
        path = folder / name
        cv2.imwrite(str(path), grey)
        job = client.wait(client.submit([path], case="K-0042").jobs[0].id)
        for item in [*client.objects(job.image_id, by_doubt=True)][number : N_DECIDED + number]:
            said = item.prediction
            client.decide(item.id, NewDecision(type=said.type, n_chromosomes=said.n_chromosomes))
        surest = client.objects(job.image_id, by_doubt=True)[-12]
        client.decide(surest.id, NewDecision(type="overlapping"))  # something to look at a second time
    (data / FOLDER).mkdir()
    (data / FOLDER / "example.json").write_bytes(COMPARISON.to_json())


def opened(page: Page, *, home: str, name: str) -> None:
    """The page with everything on it."""
    page.set_default_timeout(300_000)
    page.goto(f"{home}/{'' if name == 'review' else name}")
    page.wait_for_load_state("networkidle")
    if name != "review":
        return
    page.wait_for_selector("#strip .thumb[aria-current]")
    clusters = page.locator("#strip .thumb.t-touching, #strip .thumb.t-overlapping")
    if clusters.count():
        clusters.first.click()
    page.keyboard.press("w")
    page.wait_for_timeout(1200)


def main() -> None:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=["review"], help="the picture of the documentation alone")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        config = ServiceConfig(data=Path(name) / "data", port=free_port(), workers=1)
        home = f"http://127.0.0.1:{config.port}"
        with served(config), Client(home) as client, chromium() as browser:
            prepare(client, folder=Path(name), data=config.data)
            for size, (width, height) in SIZES.items():
                if given.only and size != "1280":
                    continue
                for scheme in SCHEMES[: 1 if given.only else 2]:
                    page = browser.new_page(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        has_touch=size == "tablet",
                    )
                    for wanted in ["review", *([] if given.only or scheme == "dark" else PAGES)]:
                        opened(page, home=home, name=wanted)
                        title = "review" if given.only else f"{wanted}-{size}-{scheme}"
                        page.screenshot(path=given.folder / f"{title}.png")
                    page.close()


if __name__ == "__main__":
    main()
