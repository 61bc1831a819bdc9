"""Comparisons of models before and after they learnt from decisions: an API, and a page without a script."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from supcam.pack.before_after import (
    FOLDER,
    BeforeAfter,
    Verdict,
    facts_of,
    read_comparisons,
    span,
    told,
)
from supcam.web.schemas import Page, Wire
from supcam.web.service import Paged, Reader, Served

router = APIRouter(tags=["service"])
_HERE = Path(__file__).parent


class ComparisonView(Wire):
    """A comparison with its verdict: ``helped``, ``harmed``, or ``open`` where chance may have done it."""

    verdict: Verdict
    words: str
    comparison: BeforeAfter


@router.get("/api/v1/comparisons", summary="Models before and after they learnt from decisions")
def get_comparisons(*, service: Served, _actor: Reader, window: Paged) -> Page[ComparisonView]:
    """The comparisons in the data folder, the newest first."""
    found, _ = read_comparisons(service.config.data / FOLDER)
    views = tuple(ComparisonView(verdict=each.verdict, words=each.words, comparison=each) for each in found)
    end = window.offset + window.limit
    return Page[ComparisonView](items=views[window.offset : end], next=end if end < len(views) else None)


@router.get("/models", response_class=HTMLResponse, include_in_schema=False)
def get_models_page(*, service: Served, _actor: Reader) -> str:
    """The same as a page."""
    found, wrong = read_comparisons(service.config.data / FOLDER)
    return render("models.html", model=service.model.card, comparisons=found, wrong=wrong)


@router.get("/static/models.css", response_class=FileResponse, include_in_schema=False)
def get_style() -> FileResponse:
    """How these pages look."""
    return FileResponse(_HERE / "static" / "models.css", media_type="text/css")


def render(name: str, **values: object) -> str:
    """A page; whatever stands in ``values`` is escaped."""
    return _templates().get_template(name).render(facts_of=facts_of, span=span, told=told, **values)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
