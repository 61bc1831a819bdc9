"""Debian's Chromium for tests: found, started, watched for what a page complains about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

SIZES = {"1280": (1280, 800), "1920": (1920, 1080), "tablet": (820, 1180)}
"""Width and height of the windows that the pages are made for."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Without Chromium the test is skipped, or fails where it is required."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        reason = "no Chromium is installed (apt-get install chromium)"
        if os.environ.get("SUPCAM_REQUIRE_BROWSER", "") not in ("", "0"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What a page wrote to its console as an error, its exceptions, and requests to elsewhere."""

    home: str
    said: list[str] = field(default_factory=list)

    def listen_to(self, page: Page) -> None:
        """From now on what ``page`` complains about is noted."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.text} {message.location.get('url', '')}")

    def _request(self, url: str) -> None:
        if not url.startswith((self.home, "blob:")):
            self.said.append(f"asks elsewhere: {url}")


def violations(page: Page) -> list[str]:
    """What axe finds against the accessibility of a page: rules and places."""
    # What runs in the page comes through the debugger, which the content-security-policy does not bind.
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')}"
        for each in found
        for node in each["nodes"]
    ]
