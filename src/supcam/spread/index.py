"""The list of all analysed pictures as a web page: pictures first, then cases and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from supcam.spread.outputs import THUMBNAILS
from supcam.spread.report import count_told, decision_told, document
from supcam.spread.rows import CASE_COLUMNS, Row

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page lists: records of pictures, rows of cases, failures as name and reason."""

    records: Sequence[Record]
    cases: Sequence[Row]
    failures: Sequence[tuple[str, str]]
    expected: int | None = None


def index_page(listing: Listing) -> str:
    """The page; its thumbnails and the pages of the pictures lie beside it."""
    n_review = sum(record["image"]["decision"] == "review" for record in listing.records)
    cards = "".join(_card(record, expected=listing.expected) for record in listing.records)
    body = (
        "<header><h1>Metaphases</h1><ul class=facts>"
        f"<li><b>{len(listing.records)}</b> pictures</li><li><b>{n_review}</b> to review</li>"
        f"<li><b>{len(listing.failures)}</b> could not be read</li></ul>"
        "<fieldset><legend>Show</legend><label><input type=checkbox id=review>only pictures to review"
        "</label></fieldset></header>"
        f"<main><ul class=cards>{cards}</ul>{_cases(listing.cases)}{_failures(listing.failures)}</main>"
    )
    return document("Metaphases", body=body, script="index.js", pictures_beside=True)


def _card(record: Record, *, expected: int | None) -> str:
    image, stem = record["image"], quote(record["stem"])
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in record["reasons"])
    count = count_told(
        image["n_chromosomes"],
        low=image["n_chromosomes_low"],
        high=image["n_chromosomes_high"],
        expected=expected,
    )
    return (
        f'<li data-decision="{image["decision"]}"><a href="{stem}.html">'
        f'<img loading="lazy" alt="{escape(image["image"])}, outlined objects" src="{THUMBNAILS}/{stem}.jpg">'
        f"{escape(image['image'])}</a> {decision_told(image['decision'])}<br>{count}<br>"
        f"<span class=soft>case {escape(record['case'])}</span><ul>{reasons}</ul></li>"
    )


def _cases(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in CASE_COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(row[name]))}</td>" for name in CASE_COLUMNS) + "</tr>"
        for row in rows
    )
    return f"<h2>Cases</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _failures(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    items = "".join(f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in failures)
    return f"<h2>Could not be read</h2><ul>{items}</ul>"
