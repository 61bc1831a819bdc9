"""An analysed picture as a web page of its own: the picture first, then what must be looked at.

A page holds everything that it shows, works without a network, by keyboard, and without seeing colours.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from supcam.core.types import Decision
from supcam.spread.objects import REJECTED, SpreadObject
from supcam.spread.overlay import COLOURS, LETTERS, caption, jpeg_bytes, outline
from supcam.spread.result import Analysis

MOST_BYTES = 5_000_000
"""No page is larger."""
Shown = UInt8[np.ndarray, "..."]

_ASSETS = Path(__file__).parent / "assets"
_SIDES_PX = (2400, 1600, 1000, 600)
_MOST_OBJECTS, _MOST_THUMBNAILS = 4000, 400
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
NOT_MEDICAL = (
    "For research only, not a medical device. Numbers are a model's reading of one picture and no finding: "
    "let a person check them."
)


@dataclass(frozen=True, slots=True)
class PageWords:
    """What a page says besides the analysis: the number of chromosomes expected (``None``: no word of it)."""

    expected: int | None = None
    index: str = "index.html"


def page(analysis: Analysis, *, words: PageWords | None = None) -> str:
    """The page of one picture, at most ``MOST_BYTES`` long; very large pictures are shown reduced."""
    words = words or PageWords()
    html = ""
    for side in _SIDES_PX:
        html = "".join(_page(analysis, words=words, side=side))
        if len(html) <= MOST_BYTES:
            break
    return html


def notebook_card(analysis: Analysis) -> str:
    """The picture with its outlines and its facts, for a notebook."""
    overlay = _shrunk(analysis.overlay(), side=900)
    return (
        f'<figure style="margin:0"><img alt="{escape(analysis.told())}" src="{_data(jpeg_bytes(overlay))}">'
        f"<figcaption>{escape(analysis.told())}</figcaption></figure>"
    )


def document(title: str, *, body: str, script: str, pictures_beside: bool = False) -> str:
    """A whole page around ``body``; ``title`` is plain text, ``script`` the name of an asset.

    It may load nothing but what is in it, and pictures from beside it where ``pictures_beside``.
    """
    policy = _POLICY.replace("img-src data:", "img-src data: file: 'self'") if pictures_beside else _POLICY
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style></head><body>\n{body}\n"
        f"<footer><p class=soft>{NOT_MEDICAL}</p></footer><script>{asset(script)}</script></body></html>\n"
    )


def asset(name: str) -> str:
    """The text of a file beside this module."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def count_told(n: int, *, low: int, high: int, expected: int | None) -> str:
    """A count as HTML, with its interval; one that differs from the expected number is marked, no more."""
    text = f"<b>{n}</b> chromosomes <span class=soft>({low} to {high}, 90 % interval)</span>"
    if expected is None or n == expected:
        return text
    return f'<span class="differs">{text}</span>, {expected} were expected'


def decision_told(decision: str) -> str:
    """A decision as HTML."""
    return f'<span class="decision {decision}">{decision}</span>'


def _page(analysis: Analysis, *, words: PageWords, side: int) -> Iterator[str]:
    shown = _shown(analysis)
    body = "".join(
        [
            _header(analysis, words=words),
            "<main>",
            _filters(analysis),
            '<div class="view"><div>',
            _svg(analysis, objects=shown, side=side),
            '<p class="details" id="details" aria-live="polite">Choose an object in the picture or in the '
            "list; n and p go through the list.</p></div>",
            _strip(shown),
            "</div>",
            _table(analysis, objects=shown),
            "</main>",
        ]
    )
    yield document(f"{analysis.name}: {analysis.count.n} chromosomes", body=body, script="page.js")


def _shown(analysis: Analysis) -> list[SpreadObject]:
    """The objects on the page: all, or where there are too many those kept or in doubt first."""
    ranked = sorted(analysis.objects, key=lambda item: (not item.is_kept, not item.doubts, item.object_id))
    return sorted(ranked[:_MOST_OBJECTS], key=lambda item: item.object_id)


def _header(analysis: Analysis, *, words: PageWords) -> str:
    count = analysis.count
    facts = [
        count_told(count.n, low=count.low, high=count.high, expected=words.expected),
        f"<b>{len(analysis.kept)}</b> objects, <b>{len(analysis.rejected)}</b> rejected",
        f"<b>{analysis.cluster_share:.0%}</b> of the chromosomes in clusters",
        f"focus {analysis.quality.focus:.2f}, contrast {analysis.quality.contrast:.2f}, "
        f"chromosome width {analysis.quality.width_px:.0f} px",
    ]
    if analysis.pixel_size:
        facts.append(escape(analysis.pixel_size.told()))
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in analysis.reasons)
    notes = "".join(f"<p class=soft>{escape(note)}</p>" for note in analysis.notes)
    return (
        f'<header><p><a href="{escape(words.index)}">All pictures</a></p><h1>{escape(analysis.name)} '
        f'{decision_told(analysis.decision.value)}</h1><ul class="facts">'
        + "".join(f"<li>{fact}</li>" for fact in facts)
        + f"</ul>{notes}"
        + (
            f"<details open><summary>Why a person must look</summary><ul>{reasons}</ul></details>"
            if reasons
            else ""
        )
        + "</header>"
    )


def _filters(analysis: Analysis) -> str:
    counts = analysis.by_type | {REJECTED: len(analysis.rejected)}
    boxes = "".join(
        f'<label><input type="checkbox" name="type" value="{kind}" checked>'
        f'<span class="swatch {kind}">{LETTERS[kind]}</span>{kind.replace("_", "-")} ({counts[kind]})</label>'
        for kind in COLOURS
    )
    return (
        f"<fieldset><legend>Show</legend>{boxes}"
        '<label><input type="checkbox" id="doubtful">only what needs a look (dashed)</label>'
        '<span class="soft" id="shown" role="status"></span></fieldset>'
    )


def _svg(analysis: Analysis, *, objects: list[SpreadObject], side: int) -> str:
    picture = _shrunk(analysis.preview, side=side)
    height, width = picture.shape[:2]
    scale = analysis.preview_scale * width / analysis.preview.shape[1]
    paths = "".join(_path(item, scale=scale) + _caption(item, scale=scale) for item in objects)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(analysis.told())}">'
        f'<image href="{_data(jpeg_bytes(picture))}" width="{width}" height="{height}"/>{paths}</svg>'
    )


def _path(item: SpreadObject, *, scale: float) -> str:
    lines = []
    for points in outline(item, scale=scale):
        simple = cv2.approxPolyDP(points, 0.6, closed=True)[:, 0]
        lines.append("M" + "L".join(f"{x} {y}" for x, y in simple.tolist()) + "Z")
    doubt = " doubt" if item.doubts else ""
    return (
        f'<path class="{item.type}{doubt}" {_data_of(item)} d="{"".join(lines)}">'
        f"<title>{escape(object_told(item))}</title></path>"
    )


def _caption(item: SpreadObject, *, scale: float) -> str:
    """Letters and number of a cluster, or a question mark, beside its first pixel; single ones have none."""
    if not item.is_kept or (item.type == "instance" and not item.doubts):
        return ""
    x = (item.box.left + int(np.argmax(item.mask[0]))) * scale
    y = max(12.0, item.box.top * scale - 4)
    return f'<text {_data_of(item)} x="{x:.0f}" y="{y:.0f}">{caption(item)}</text>'


def object_told(item: SpreadObject) -> str:
    """An object in one line of plain text."""
    parts = [f"Object {item.object_id}: {item.type.replace('_', '-')}"]
    if item.n_chromosomes > 1:
        parts.append(f"{item.n_chromosomes} chromosomes")
    if item.is_kept and item.prediction is not None:
        parts.append(f"confidence {item.prediction.confidence:.2f}")
    parts += [item.rejection.value] if item.rejection else []
    doubts = [f"to check: {doubt.value}" for doubt in item.doubts]
    return "; ".join([", ".join(parts), *doubts])


def _data_of(item: SpreadObject) -> str:
    return f'data-id="{item.object_id}" data-type="{item.type}" data-doubt="{int(bool(item.doubts))}"'


def _strip(objects: list[SpreadObject]) -> str:
    """The objects that need a look, least sure first."""
    doubtful = [item for item in objects if item.decision is Decision.REVIEW]
    doubtful.sort(key=lambda item: item.prediction.confidence if item.prediction else 0.0)
    items = "".join(_thumbnail(item) for item in doubtful[:_MOST_THUMBNAILS])
    rest = len(doubtful) - _MOST_THUMBNAILS
    more = f"<p>{rest} more are in the table below.</p>" if rest > 0 else ""
    return f'<section><h2>To look at: {len(doubtful)}</h2><ol class="strip">{items}</ol>{more}</section>'


def _thumbnail(item: SpreadObject) -> str:
    picture = ""
    if item.crop is not None:
        picture = f'<img alt="" src="{_data(jpeg_bytes(_shrunk(item.crop, side=110), quality=75))}">'
    words = ", ".join(doubt.value for doubt in item.doubts)
    name = f"{item.object_id}: {item.type.replace('_', '-')}"
    number = f", {item.n_chromosomes}" if item.n_chromosomes > 1 else ""
    return (
        f'<li><button type="button" {_data_of(item)}>{picture}<b>{escape(name + number)}</b><br>'
        f"{escape(words)}</button></li>"
    )


def _table(analysis: Analysis, *, objects: list[SpreadObject]) -> str:
    rows = "".join(_table_row(item) for item in objects)
    left_out = len(analysis.objects) - len(objects)
    note = f"<p>{left_out} rejected objects are in objects.csv alone.</p>" if left_out else ""
    return (
        "<h2>All objects</h2>"
        f'{note}<div class="table" tabindex="0" role="region" aria-label="All objects"><table><thead><tr>'
        "<th>object</th><th>type</th><th>chromosomes</th><th>confidence</th><th>area, px</th>"
        f"<th>decision</th><th>why</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _table_row(item: SpreadObject) -> str:
    why = [item.rejection.value] if item.rejection else []
    why += [doubt.value for doubt in item.doubts]
    cells = [
        str(item.object_id),
        item.type.replace("_", "-"),
        str(item.n_chromosomes),
        f"{item.prediction.confidence:.2f}" if item.prediction and item.is_kept else "",
        str(item.area_px),
        item.decision.value,
        "; ".join(why),
    ]
    told = escape(object_told(item))
    return (
        f'<tr {_data_of(item)} data-told="{told}">'
        + "".join(f"<td>{escape(c)}</td>" for c in cells)
        + "</tr>"
    )


def _shrunk(picture: Shown, *, side: int) -> Shown:
    """A picture whose longer side is at most ``side``."""
    longest = max(picture.shape[:2])
    if longest <= side:
        return picture
    size = (max(1, picture.shape[1] * side // longest), max(1, picture.shape[0] * side // longest))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _data(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
