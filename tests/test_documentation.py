"""The documents as a whole: every link leads somewhere, every page is on the site, which needs no network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError as TooLateError
from tests.browser import Complaints, chromium
from tests.documented import DOCUMENTS, ROOT, anchors, links, name_of

TUTORIALS = sorted((ROOT / "docs").rglob("*.ipynb"))
_LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?([^"'\s>]+)|url\(["']?([^"')]+)""")
_STYLES = re.compile(r"""<link\b(?=[^>]*rel=["']?(?:stylesheet|icon|preload))[^>]*href=["']?([^"'\s>]+)""")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_to_files_and_headings_that_are_there(document: Path) -> None:
    broken = []
    for target in links(document):
        path, _, anchor = target.partition("#")
        named = (document.parent / path).resolve() if path else document
        if not named.is_file():
            broken.append(target)
        elif anchor and named.suffix == ".md" and anchor not in anchors(named):
            broken.append(f"{target}: only {sorted(anchors(named))}")
    assert not broken


def named_pages(nav: list[dict[str, object]]) -> Iterator[str]:
    for entry in nav:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                assert isinstance(value, list)
                yield from named_pages(value)


def test_navigation_names_every_page_once() -> None:
    """If it fails: a page of docs/ needs a line in nav of zensical.toml."""
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    docs = ROOT / "docs"
    pages = {
        path.relative_to(docs).with_suffix(".md").as_posix()
        for path in [*docs.rglob("*.md"), *docs.rglob("*.ipynb")]
    }
    assert sorted(named_pages(nav)) == sorted(pages | {"index.md", "contributing.md", "changelog.md"})


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_is_committed_without_output(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert sum(cell["cell_type"] == "code" for cell in cells) >= 4
    ran = [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert not ran


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``scripts/docs`` builds it, strictly, its tutorials run on drawn pictures."""
    folder = tmp_path_factory.mktemp("site") / "docs"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs_site.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder / "site"


def test_site_holds_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(DOCUMENTS)
    missing = []
    for page in [*pages, *site.rglob("*.css")]:
        text = page.read_text(encoding="utf-8")
        for match in [*_LOADED.finditer(text), *_STYLES.finditer(text)]:
            source = next(group for group in match.groups() if group)
            start = site if source.startswith("/") else page.parent  # 404.html is served for any address
            own = start / source.partition("?")[0].partition("#")[0].lstrip("/")
            if not source.startswith(("data:", "#")) and not own.exists():
                missing.append(f"{page.relative_to(site)}: {source}")
    assert not missing


def test_site_shows_equations_documented_names_and_what_tutorials_print(site: Path) -> None:
    assert (site / "method.html").read_text(encoding="utf-8").count("<math") >= 4
    names = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert 'id="supcam.analyze"' in names
    assert 'id="supcam.Model.under"' in names
    assert "chromosomes (" in (site / "tutorials" / "analyse.html").read_text(encoding="utf-8")
    assert [*(site / "tutorials" / "analyse").glob("*.png")]
    assert (site / "files" / "benchmarks" / "results" / "adaptation.json").is_file()


def test_site_is_read_and_searched_from_the_disk(site: Path) -> None:
    with chromium() as browser:
        page = browser.new_page()
        complaints = Complaints(home=site.as_uri())
        complaints.listen_to(page)
        page.goto((site / "index.html").as_uri())
        assert "SupCAM" in page.title()
        field = page.get_by_role("combobox", name="Search")
        for _ in range(60):  # until the page's script listens
            page.keyboard.press("/")
            with suppress(TooLateError):
                field.wait_for(timeout=500)
                break
        field.fill("momentum encoder")
        page.get_by_role("option", name=re.compile("momentum")).first.wait_for()
        assert not complaints.said
