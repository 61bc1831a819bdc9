"""Comparisons of models before and after they learnt from decisions: an API, and a page without a script."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from supcam.pack.before_after import (
    FOLDER,
    BeforeAfter,
    Verdict,
    facts_of,
    read_comparisons,
    span,
    told,
)
from supcam.web.review import page
from supcam.web.schemas import Page, Wire
from supcam.web.service import Paged, Reader, Served

router = APIRouter(tags=["service"])


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
    return page(
        "models.html",
        path="/models",
        model=service.model.card,
        comparisons=found,
        wrong=wrong,
        facts_of=facts_of,
        span=span,
        told=told,
    )
