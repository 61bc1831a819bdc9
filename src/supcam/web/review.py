"""The pages that people work with: templates and static files beside this module, nothing from elsewhere.

A page holds no data: its scripts ask the API, which judges every request. So a page may be shown to anybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import supcam
from supcam.core.types import ClusterType
from supcam.spread.objects import REJECTED
from supcam.spread.overlay import LETTERS
from supcam.spread.report import NOT_MEDICAL
from supcam.web.schemas import least_number

_HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_WORDS = {
    ClusterType.INSTANCE.label: "Single",
    ClusterType.TOUCHING.label: "Touching",
    ClusterType.OVERLAPPING.label: "Overlapping",
    ClusterType.TOUCHING_OVERLAPPING.label: "Touching and overlapping",
    REJECTED: "Rejected",
}
_KEYS = ("1", "2", "3", "4", "0")
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page that every page leads to."""

    path: str
    word: str


NAVIGATION = (
    NavItem("/", "Review"),
    NavItem("/agreement", "Agreement"),
    NavItem("/second-look", "Second look"),
    NavItem("/export", "Export"),
    NavItem("/model", "Card"),
    NavItem("/models", "Models"),
)
"""In the order in which they are shown; a further page adds its line here."""


@dataclass(frozen=True, slots=True)
class TypeWord:
    """A type as the page shows it: its name in tables, a word, letters, a key, the fewest chromosomes."""

    name: str
    word: str
    letters: str
    key: str
    least: int


TYPES = tuple(
    TypeWord(name, word=word, letters=LETTERS[name].replace("x", "×"), key=key, least=least_number(name))
    for (name, word), key in zip(_WORDS.items(), _KEYS, strict=True)
)


class StaticPart(StaticFiles):
    """Style and scripts; a browser keeps them and asks each time whether they have changed."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """The file, or that it is the same as before."""
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "no-cache"
        return answer


def add_pages(app: FastAPI) -> None:
    """From now on ``app`` shows its pages too."""
    app.include_router(router)
    app.mount("/static", StaticPart(directory=_HERE / "static"), name="static")


def page(template: str, *, path: str, **values: object) -> str:
    """The HTML of a page at ``path``; whatever stands in ``values`` is escaped."""
    return _TEMPLATES.get_template(template).render(
        **values,
        path=path,
        navigation=NAVIGATION,
        types=TYPES,
        word_of={kind.name: kind.word.lower() for kind in TYPES},
        types_json=json.dumps([{field: getattr(kind, field) for field in kind.__slots__} for kind in TYPES]),
        notice=NOT_MEDICAL,
        version=supcam.__version__,
    )


@router.get("/")
def get_review() -> str:
    """Where pictures are handed in and their objects decided."""
    return page("review.html", path="/")


@router.get("/agreement")
def get_agreement_page() -> str:
    """How far reviewers agree."""
    return page("agreement.html", path="/agreement")


@router.get("/export")
def get_export_page() -> str:
    """What can be taken out, and, for admins, what can be removed."""
    return page("export.html", path="/export")


@router.get("/model")
def get_model_page() -> str:
    """The model's card."""
    return page("model.html", path="/model")


@router.get("/login")
def get_login_page() -> str:
    """Where a token is exchanged for a cookie."""
    return page("login.html", path="/login")
