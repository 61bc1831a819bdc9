"""The pages: what stands in them, and a person with a keyboard in a real browser."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect
from tests.browser import SIZES, Complaints, chromium, violations
from tests.service import free_port, picture_bytes, served, service_config, serving

from supcam.pack.before_after import FOLDER
from supcam.spread.overlay import COLOURS
from supcam.web import review
from supcam.web.config import ServiceConfig
from supcam.web.examples import COMPARISON
from supcam.web.review import NAVIGATION, TYPES
from supcam.web.serving import opened
from supcam.web.tokens import create_token

HERE = Path(review.__file__).parent
Scheme = Literal["light", "dark"]
PAGES = [item.path for item in NAVIGATION] + ["/login"]
FROM_A_BROWSER = {"accept": "text/html,application/xhtml+xml"}


# What stands in them ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("pages")
    with serving(service_config(folder, model=model_folder, require_token=True)) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_no_script_no_style_and_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=FROM_A_BROWSER)
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", answer.text)
    for address in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
        assert address.startswith(("/", "#")), address
        if address.startswith("/static/"):
            assert client.get(address).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_what_it_is_not(client: TestClient, path: str) -> None:
    text = client.get(path, headers=FROM_A_BROWSER).text
    assert "For research only, not a medical device" in text
    assert "diagnos" not in text.lower()


def test_scripts_ask_nobody_else_and_parse_no_html() -> None:
    for path in sorted((HERE / "static").iterdir()):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|eval\(", text), path.name
        assert len(text.splitlines()) < 350, path.name
        for name in re.findall(r'from "\./(\w+\.js)"', text):
            assert (path.parent / name).is_file()


def test_static_files_are_kept_and_asked_for_again(client: TestClient) -> None:
    first = client.get("/static/review.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/static/review.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_colours_are_those_of_the_overlays() -> None:
    text = (HERE / "static" / "base.css").read_text(encoding="utf-8")
    shown = dict(re.findall(r"--t-(\w+): #([0-9a-f]{6});", text))
    assert shown == {name: bytes(colour).hex() for name, colour in COLOURS.items()}
    styles = re.findall(r"\.t-(\w+) \{ --type: [^;]+; --dash: ([^;]+); \}", text)
    assert len(styles) == len({dash for _, dash in styles}) == len(COLOURS)
    assert len({kind.letters for kind in TYPES}) == len({kind.key for kind in TYPES}) == len(COLOURS)


# In a browser -----------------------------------------------------------------------------------------------


_INSIDE = """(group) => {
  const line = group.querySelector(".hit");
  const box = line.getBBox();
  for (let x = box.x; x < box.x + box.width; x += 2)
    for (let y = box.y; y < box.y + box.height; y += 2) {
      const point = new DOMPoint(x, y);
      const seen = point.matrixTransform(line.getScreenCTM());
      const isSeen = document.elementFromPoint(seen.x, seen.y) === line;
      if (isSeen && line.isPointInFill(point)) return [seen.x, seen.y];
    }
}"""
"""A point of the window that lies in an object's outline."""


@dataclass
class Bench:
    """A service with a worker, a browser, a picture handed in, and its objects that were decided by keys."""

    config: ServiceConfig
    browser: Browser
    picture: Path
    decided: list[str] = field(default_factory=list)

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.config.port}"

    def get(self, path: str) -> Any:  # noqa: ANN401  whatever the API tells
        return httpx2.get(f"{self.home}/api/v1{path}").json()

    def open(
        self, path: str = "/", *, size: str = "1280", scheme: Scheme = "light"
    ) -> tuple[Page, Complaints]:
        width, height = SIZES[size]
        page = self.browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "tablet"
        )
        complaints = Complaints(self.home)
        complaints.listen_to(page)
        page.on("filechooser", lambda _: None)  # asked for late, it would come too late on a busy machine
        page.goto(self.home + path)
        return page, complaints


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    picture = folder / "K-7 <img src=x onerror=alert(1)>.png"
    picture.write_bytes(picture_bytes(0))
    config = service_config(folder, model=model_folder, workers=1, port=free_port())
    expect.set_options(timeout=30_000)
    comparisons = config.data / FOLDER
    comparisons.mkdir(parents=True)
    (comparisons / "example.json").write_bytes(COMPARISON.to_json())
    with chromium() as browser, served(config):
        bench = Bench(config, browser=browser, picture=picture)
        page, complaints = bench.open()
        hand_in(page, picture)
        bench.decided += decide_three(page)
        expect(page.locator("#name")).to_have_text(picture.name)
        page.close()
        assert not complaints.said
        yield bench


def chosen(page: Page) -> str:
    """The id of the object that is chosen, once its panel is there."""
    thumb = page.locator("#strip .thumb[aria-current]")
    expect(thumb).to_be_visible()
    return thumb.get_attribute("data-id") or ""


def press(page: Page, key: str, *, then: str) -> None:
    """A key, and what is said then."""
    page.keyboard.press(key)
    expect(page.locator("#toasts .toast").last).to_contain_text(then)


def hand_in(page: Page, picture: Path) -> None:
    """The picture, chosen by keyboard."""
    page.locator("#case").fill("K-7")
    page.locator("#choose-files").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([picture])


def decide_three(page: Page) -> list[str]:
    """Three objects decided by keys: one of another number, one after a word taken back, one as it stands."""
    ids = [chosen(page)]
    press(page, "2", then="Touching")
    before = int(page.locator("#number").inner_text())
    page.keyboard.press("+")
    page.keyboard.press("+")
    press(page, "ArrowRight", then=f"Touching, {before + 2}")
    ids.append(page.locator("#strip .thumb").nth(1).get_attribute("data-id") or "")
    expect(page.locator("#strip .thumb[aria-current]")).to_have_attribute("data-id", ids[1])
    press(page, "1", then="Single")
    press(page, "u", then="taken back")
    press(page, "0", then="Rejected")
    page.keyboard.press("ArrowRight")
    ids.append(page.locator("#strip .thumb").nth(2).get_attribute("data-id") or "")
    expect(page.locator("#strip .thumb[aria-current]")).to_have_attribute("data-id", ids[2])
    page.keyboard.press("Enter")
    expect(page.locator(f'#strip [data-id="{ids[2]}"]')).to_have_class(re.compile("decided"))
    return ids


def exported(page: Page, *, home: str, to: Path) -> dict[str, dict[str, str]]:
    """The rows of the table of a case, by object."""
    page.goto(f"{home}/export")
    page.locator("#case").fill("K-7")
    page.locator("a[href*='objects.csv?case=K-7']").focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(to)
    with to.open(newline="", encoding="utf-8") as file:
        return {row["object_id"]: row for row in csv.DictReader(file)}


def test_review_by_keys_alone(bench: Bench, tmp_path: Path) -> None:
    """Handed in, decided, opened anew, exported: what was decided is there, and in the table."""
    ids = bench.decided
    image = bench.get("/images")["items"][0]
    rows = bench.get(f"/images/{image['id']}/objects")["items"]
    words = {row["id"]: row["decided"] for row in rows if row["decided"]}
    assert set(words) == set(ids)
    assert words[ids[0]]["type"] == "touching"
    history = [row["type"] for row in bench.get(f"/objects/{ids[1]}/decisions")]
    assert history == ["instance", None, "rejected"]

    page, complaints = bench.open()
    expect(page.locator("#strip .thumb.decided")).to_have_count(3)
    n = words[ids[0]]["n_chromosomes"]
    expect(page.locator(f'#strip [data-id="{ids[0]}"] .word')).to_have_text(f"T{n}✓")
    counts = bench.get(f"/images/{image['id']}")["counts"]
    expect(page.locator("#count b")).to_have_text(str(counts["n_chromosomes"]))
    for name, count in counts["by_type"].items():
        expect(page.locator(f"#n-{name}")).to_have_text(str(count))
    expect(page.locator("#n-doubts")).to_have_text(str(counts["n_to_review"]))

    table = exported(page, home=bench.home, to=tmp_path / "objects.csv")
    assert {key for key, row in table.items() if row["reviewer"]} == set(ids)
    assert (table[ids[0]]["decided_type"], table[ids[0]]["decided_n_chromosomes"]) == ("touching", str(n))
    assert table[ids[1]]["decided_type"] == "rejected"
    page.close()
    assert not complaints.said


def test_the_view_follows_keys_mouse_and_objects(bench: Bench) -> None:
    page, complaints = bench.open()
    first = chosen(page)
    view = page.locator("#view")
    whole = view.get_attribute("viewBox") or ""
    for key in ("z", "Shift+ArrowRight", "i", "o"):
        before = view.get_attribute("viewBox") or ""
        page.keyboard.press(key)
        expect(view).not_to_have_attribute("viewBox", before)
    page.keyboard.press("f")
    expect(view).to_have_attribute("viewBox", whole)
    page.keyboard.press("w")
    expect(page.locator("#view .heat image")).to_have_count(1)
    expect(page.locator("#similar img").first).to_be_visible()
    expect(page.locator("#history li").first).to_contain_text("Model")
    expect(page.locator("#bars li")).to_have_count(4)
    shape = page.locator(f'#view .lines g:not([data-id="{first}"])').first
    x, y = shape.evaluate(_INSIDE)
    page.mouse.click(x, y)
    expect(page.locator("#strip .thumb[aria-current]")).not_to_have_attribute("data-id", first)
    page.mouse.wheel(0, -300)
    expect(view).not_to_have_attribute("viewBox", whole)
    page.close()
    assert not complaints.said


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", "1280"), ("dark", "1280"), ("light", "1920"), ("light", "tablet")]
)
def test_axe_finds_nothing_on_any_page(bench: Bench, scheme: Scheme, size: str) -> None:
    """Also where a comparison of models and decisions to look at again are shown."""
    for path in PAGES:
        page, complaints = bench.open(path, size=size, scheme=scheme)
        page.wait_for_load_state("networkidle")
        if path == "/":
            chosen(page)
        if path in ("/models", "/second-look"):
            expect(page.locator("main .card img, main .card table").first).to_be_visible()
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        if path == "/":
            page.keyboard.press("?")
            expect(page.locator("#help-rows tr")).not_to_have_count(0)
            assert violations(page) == [], "help"
        page.close()
        assert not complaints.said, path


def test_a_second_look_leads_to_its_object(bench: Bench) -> None:
    page, complaints = bench.open("/second-look")
    link = page.locator("main .looks a").first
    wanted = (link.get_attribute("href") or "").rpartition("object=")[2]
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#strip .thumb[aria-current]")).to_have_attribute("data-id", wanted)
    page.close()
    assert not complaints.said


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_at_any_size(bench: Bench, size: str) -> None:
    page, _ = bench.open(size=size)
    chosen(page)
    expect(page.locator("#similar a").first).to_be_visible()
    too_wide = page.evaluate(
        "() => [...document.querySelectorAll('body, main, .top, .facts, .panel, .drop, button, .stage')]"
        ".filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth)"
        ".map((each) => each.id || each.className || each.tagName)"
    )
    assert too_wide == []
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    assert stage["height"] > 330
    page.close()


def log_in(page: Page, token: str) -> None:
    """The token, typed on the page that asks for it."""
    expect(page).to_have_url(re.compile("/login"))
    expect(page.locator("#go")).to_be_enabled()  # Enter does nothing before the script listens
    page.locator("#token").fill(token)
    page.locator("#token").press("Enter")


def second_reading(page: Page) -> None:
    """What the first reviewer decided is hidden, and another word is added."""
    chosen(page)
    expect(page.locator("#who")).to_have_text("bea, reviewer")
    expect(page.locator("#strip .thumb.decided")).to_have_count(3)
    page.locator("#second").check()
    expect(page.locator("#strip .thumb.decided")).to_have_count(0)
    press(page, "3", then="Overlapping")
    expect(page.locator("#strip .thumb.decided")).to_have_count(1)
    page.locator("#leave").click()


def test_tokens_roles_and_a_second_reading(bench: Bench) -> None:
    """A reviewer and a reader at a service that demands a token, on the same store."""
    config = bench.config.model_copy(update={"port": free_port(), "workers": 0})
    with opened(data=config.data, database="") as store:
        bea = create_token(store, name="bea", role="reviewer", actor="test").text
        cem = create_token(store, name="cem", role="reader", actor="test").text
    with served(config, extra=("--require-token",)):
        other = Bench(config, browser=bench.browser, picture=bench.picture)
        page, _ = other.open()
        log_in(page, "supcam_nobody")
        expect(page.locator("#refused")).to_contain_text("not valid")
        log_in(page, bea)
        second_reading(page)
        log_in(page, cem)
        chosen(page)
        expect(page.locator("#agree")).to_be_disabled()
        expect(page.locator("#may-not")).to_contain_text("reader")
        page.goto(f"{other.home}/agreement")
        expect(page.locator("#pairs tbody th").first).to_have_text("bea and local")
        page.goto(f"{other.home}/export")
        expect(page.locator("#who")).to_have_text("cem, reader")
        expect(page.locator("#purge-part")).to_be_hidden()
        page.close()


def test_a_file_that_is_no_picture_is_told_of(bench: Bench, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    page, _ = bench.open()
    chosen(page)
    page.locator("#files").set_input_files([broken])
    expect(page.locator("#uploads .reason")).to_contain_text("no PNG")
    page.close()
