"""A comparison of before and after for people: Markdown, and a page that holds everything it shows."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from supcam.pack.before_after import BeforeAfter, Change, facts_of, span, told

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;"
    "border-bottom:1px solid #999;vertical-align:top}td small{display:block;color:#444}"
    ".verdict{font-size:1.2rem;border-left:.4rem solid #444;padding:.4rem .8rem;background:#f2f2f2}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_RESEARCH = "For research only, not a medical device."


def to_markdown(comparison: BeforeAfter) -> str:
    """The comparison as a Markdown page."""
    return "\n".join(_markdown(comparison)) + "\n"


def _markdown(comparison: BeforeAfter) -> Iterator[str]:
    yield f"# {_title(comparison)}\n\n**{comparison.words}**\n"
    yield "| held-out figure | before | after | difference |\n|---|---|---|---|"
    for change in comparison.figures:
        cells = (
            " ".join(part for part in (value, f"({ends})" if ends else "") if part)
            for value, ends in _cells(change)
        )
        yield f"| {change.name} | {' | '.join(cells)} |"
    yield "\n95 % intervals, drawn by case.\n\n| | |\n|---|---|"
    yield from (f"| {name} | {text} |" for name, text in facts_of(comparison))
    yield from (f"\n- {note}" for note in comparison.notes)
    yield f"\n{_RESEARCH}"


def to_html(comparison: BeforeAfter) -> str:
    """The comparison as a page of its own: no script, nothing loaded from elsewhere."""
    title = escape(_title(comparison))
    rows = "".join(
        f"<tr><th scope=row>{escape(change.name)}</th>"
        + "".join(f"<td>{value}<small>{ends}</small></td>" for value, ends in _cells(change))
        + "</tr>"
        for change in comparison.figures
    )
    facts = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(text)}</td></tr>"
        for name, text in facts_of(comparison)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width"><title>'
        f"{title}</title><style>{_STYLE}</style><main><h1>{title}</h1>"
        f"<p class=verdict>{escape(comparison.words)}</p>"
        "<table><thead><tr><th scope=col>held-out figure<th scope=col>before<th scope=col>after"
        f"<th scope=col>difference</tr></thead><tbody>{rows}</tbody></table>"
        "<p>95 % intervals, drawn by case.</p>"
        f"<h2>How it was made</h2><table><tbody>{facts}</tbody></table><ul>{notes}</ul>"
        f"<p>{_RESEARCH}</p></main></html>\n"
    )


def _title(comparison: BeforeAfter) -> str:
    before, after = comparison.before, comparison.after
    return f"{before.name} {before.version} before, {after.name} {after.version} after"


def _cells(change: Change) -> Iterator[tuple[str, str]]:
    """Value and interval of before, after, and their difference."""
    yield told(change.before), span(change.before_low, change.before_high)
    yield told(change.after), span(change.after_low, change.after_high)
    yield (
        told(change.difference, is_signed=True),
        span(change.difference_low, change.difference_high, is_signed=True),
    )
