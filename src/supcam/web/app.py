"""The application: routes, gate, errors and meters put together."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import attrgetter

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy import text
from starlette.types import Lifespan

import supcam
from supcam.web.access import COOKIE, Gate, csrf_of, token_of
from supcam.web.comparisons import router as comparisons
from supcam.web.config import ServiceConfig
from supcam.web.deciding import router as deciding
from supcam.web.document import complete
from supcam.web.meters import Metered
from supcam.web.problems import add_handlers, problem
from supcam.web.purge import sweep
from supcam.web.review import add_pages
from supcam.web.schemas import ModelName, ModelView, NewSession, Problem, SessionView
from supcam.web.second_look import router as second_look
from supcam.web.service import Reader, Served, Service, open_service
from supcam.web.showing import router as showing
from supcam.web.submitting import router as submitting
from supcam.web.tokens import authenticate
from supcam.web.uploads import BodyLimit

_DESCRIPTION = (
    "Type and number of chromosomes of every object in metaphase pictures, and what people decide on them. "
    "For research only, not a medical device. Every error is a problem document (RFC 9457)."
)
_COMMON = {
    400: "The body cannot be read: neither JSON nor a form, or cut off.",
    401: "No valid token.",
    403: "The role does not allow it, or the request comes from another site.",
    408: "The body took too long.",
    413: "Too many bytes.",
    421: "Asked for under another name than this machine's own.",
    422: "Something in the request is not as it must be.",
    429: "Too many requests; see Retry-After.",
    503: "Database or disk are in trouble; see Retry-After.",
}


def create_app(config: ServiceConfig | None = None) -> FastAPI:
    """The service as an ASGI application; its workers start and stop with it.

    Raises ``SupcamError`` when database or model cannot be used.
    """
    config = config or ServiceConfig()
    service = open_service(config)
    app = FastAPI(
        title="SupCAM",
        version=supcam.__version__,
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(service),
        generate_unique_id_function=attrgetter("name"),
        responses={status: {"model": Problem, "description": told} for status, told in _COMMON.items()},
    )
    app.state.service = service
    add_handlers(app)
    for router in (submitting, showing, deciding, comparisons, second_look):
        app.include_router(router)
    _add_own_routes(app)
    add_pages(app)
    app.add_middleware(BodyLimit, limits=config.limits)
    app.add_middleware(Gate, config=config, database=service.database)
    app.add_middleware(Metered, meters=service.meters)
    complete(app)
    return app


def _lifespan(service: Service) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=sweep, args=(service.database, service.vault), daemon=True).start()
        service.keeper.start()
        try:
            yield
        finally:
            service.keeper.stop()
            service.database.close()

    return lifespan


def _add_own_routes(app: FastAPI) -> None:
    app.get("/healthz", tags=["service"], summary="Whether it is alive", response_class=PlainTextResponse)(
        get_health
    )
    app.get(
        "/readyz",
        tags=["service"],
        summary="Whether it can work",
        response_class=PlainTextResponse,
        responses={503: {"model": Problem}},
    )(get_ready)
    app.get("/metrics", tags=["service"], summary="Prometheus' meters", response_class=PlainTextResponse)(
        get_metrics
    )
    app.get("/api/v1/model", tags=["service"], summary="The model's card")(get_model)
    app.get("/api/v1/session", tags=["service"], summary="Who is asking")(get_session)
    app.post(
        "/api/v1/session",
        tags=["service"],
        summary="Exchange a token for a cookie",
        responses={200: {"model": SessionView}},
    )(post_session)
    app.delete(
        "/api/v1/session",
        tags=["service"],
        summary="Forget the cookie",
        status_code=204,
        response_class=Response,
    )(delete_session)


def get_health() -> str:
    """``alive``, as long as requests are answered."""
    return "alive"


def get_ready(service: Served) -> Response:
    """``ready`` when database, disk and workers are there."""
    with service.database.reading() as session:
        session.execute(text("SELECT 1"))
    if service.vault.free_bytes() < service.config.limits.min_free_bytes:
        return problem(503, "no room on the disk", headers={"Retry-After": "60"})
    if len(service.keeper.pids) < min(1, service.config.workers):
        return problem(503, "no worker is alive", headers={"Retry-After": "2"})
    return PlainTextResponse("ready")


def get_metrics(service: Served, _actor: Reader) -> Response:
    """Requests by route, jobs by state, workers."""
    return Response(service.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def get_model(service: Served, _actor: Reader) -> ModelView:
    """What reads the pictures: name, version, hash, card and calibration."""
    card = service.model.card
    return ModelView(
        model=ModelName(name=card.name, version=card.version, sha256=card.model_sha256),
        seal=card.seal,
        card=card.model_dump(mode="json"),
        calibration=service.model.calibration.model_dump(mode="json"),
    )


def get_session(request: Request, actor: Reader) -> SessionView:
    """Name and role of whoever asks, and what goes into ``X-CSRF-Token`` if a cookie vouches for them."""
    is_cookie = "authorization" not in request.headers and COOKIE in request.cookies
    return SessionView(name=actor.name, role=actor.role, csrf=csrf_of(token_of(request)) if is_cookie else "")


def post_session(*, request: Request, service: Served, new: NewSession) -> Response:
    """A cookie that scripts cannot read, for the page. 401 for a token that is not valid."""
    actor = authenticate(service.database, new.token)
    if actor is None:
        return problem(401, "this token is not valid", headers={"WWW-Authenticate": "Bearer"})
    view = SessionView(name=actor.name, role=actor.role, csrf=csrf_of(new.token))
    answer = JSONResponse(view.model_dump(mode="json"))
    answer.set_cookie(
        COOKIE, new.token, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    return answer


def delete_session() -> Response:
    """No cookie any more."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer
