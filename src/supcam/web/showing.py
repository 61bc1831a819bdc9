"""Routes that show pictures and their objects: what was found, where, how surely, and why."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from sqlalchemy.orm import Session

from supcam.web.nearest import seen_view, similar
from supcam.web.results import (
    Wanted,
    WantedImages,
    found,
    history,
    image_view,
    list_images,
    list_objects,
    newest_analysis,
    object_views,
)
from supcam.web.schemas import (
    CASE,
    DecisionView,
    Id,
    ImageView,
    Kind,
    ObjectView,
    Page,
    Problem,
    SeenView,
    SimilarView,
)
from supcam.web.service import Paged, Reader, Served, Service
from supcam.web.store import NotThereError, latest_prediction
from supcam.web.tables import AnalysisRow, Image, ObjectRow

_PNG: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    404: {"model": Problem},
}
router = APIRouter(prefix="/api/v1", tags=["results"])
ImageId = Annotated[Id, Path()]
ObjectId = Annotated[Id, Path()]
Order = Annotated[Literal["number", "doubt"], Query(description="doubt: the least sure first.")]
Undecided = Annotated[bool, Query(description="Only what nobody decided on yet.")]
ToReview = Annotated[bool, Query(description="Only what the model doubts.")]


@router.get("/images", summary="Pictures with their counts")
def get_images(
    *,
    service: Served,
    _actor: Reader,
    window: Paged,
    kind: Annotated[Kind | None, Query()] = None,
    case: Annotated[str | None, Query(max_length=200, pattern=CASE)] = None,
    order: Annotated[Literal["came", "last"], Query(description="last: the newest first.")] = "came",
) -> Page[ImageView]:
    """A part of the list of pictures, each with its counts as decided so far."""
    wanted = WantedImages(kind=kind, case=case, last_first=order == "last")
    with service.database.reading() as session:
        return list_images(session, window, wanted=wanted)


@router.get("/images/{image_id}", responses={404: {"model": Problem}}, summary="One picture")
def get_image(*, service: Served, _actor: Reader, image_id: ImageId) -> ImageView:
    """A picture: what the model says of it as a whole, and its counts as decided so far."""
    with service.database.reading() as session:
        return image_view(session, found(session, Image, key=image_id))


@router.get(
    "/images/{image_id}/picture.png",
    response_class=Response,
    responses=_PNG,
    summary="The picture in grey",
)
def get_picture(*, service: Served, _actor: Reader, image_id: ImageId) -> Response:
    """The picture; a very large one is reduced by the analysis' ``picture_scale``."""
    with service.database.reading() as session:
        return _png(service, _analysis(session, image_id).picture_sha256)


@router.get(
    "/images/{image_id}/overlay.png",
    response_class=Response,
    responses=_PNG,
    summary="The picture with outlines",
)
def get_overlay(*, service: Served, _actor: Reader, image_id: ImageId) -> Response:
    """The picture with every object outlined in the colour of its type."""
    with service.database.reading() as session:
        return _png(service, _analysis(session, image_id).overlay_sha256)


@router.get(
    "/images/{image_id}/objects", responses={404: {"model": Problem}}, summary="The objects of a picture"
)
def get_image_objects(
    *,
    service: Served,
    _actor: Reader,
    window: Paged,
    image_id: ImageId,
    order: Order = "number",
    undecided: Undecided = False,
) -> Page[ObjectView]:
    """Outlines, probabilities and last decisions, by number or the doubtful ones first."""
    wanted = Wanted(image_id=image_id, by_doubt=order == "doubt", undecided=undecided)
    with service.database.reading() as session:
        found(session, Image, key=image_id)
        return list_objects(session, window, wanted=wanted)


@router.get("/objects", summary="Objects of all pictures")
def get_objects(
    *,
    service: Served,
    _actor: Reader,
    window: Paged,
    order: Order = "doubt",
    undecided: Undecided = True,
    to_review: ToReview = False,
) -> Page[ObjectView]:
    """What to look at next, whichever picture it is in."""
    wanted = Wanted(by_doubt=order == "doubt", undecided=undecided, to_review=to_review)
    with service.database.reading() as session:
        return list_objects(session, window, wanted=wanted)


@router.get("/objects/{object_id}", responses={404: {"model": Problem}}, summary="One object")
def get_object(*, service: Served, _actor: Reader, object_id: ObjectId) -> ObjectView:
    """Outline, what the newest model says, and the last decision that holds."""
    with service.database.reading() as session:
        return object_views(session, [latest_prediction(session, object_id=object_id)])[0]


@router.get(
    "/objects/{object_id}/crop.png", response_class=Response, responses=_PNG, summary="The object's picture"
)
def get_crop(*, service: Served, _actor: Reader, object_id: ObjectId) -> Response:
    """The object in grey with some of its surroundings."""
    with service.database.reading() as session:
        return _png(service, found(session, ObjectRow, key=object_id).crop_sha256)


@router.get(
    "/objects/{object_id}/seen", responses={404: {"model": Problem}}, summary="Where the network looked"
)
def get_seen(*, service: Served, _actor: Reader, object_id: ObjectId) -> SeenView:
    """The network's activation for each type over a square of the picture, before pooling."""
    with service.database.reading() as session:
        return seen_view(session, vault=service.vault, object_id=object_id)


@router.get(
    "/objects/{object_id}/similar", responses={404: {"model": Problem}}, summary="Decided objects like it"
)
def get_similar(
    *, service: Served, _actor: Reader, object_id: ObjectId, limit: Annotated[int, Query(ge=1, le=50)] = 6
) -> tuple[SimilarView, ...]:
    """The decided objects whose embeddings are nearest, the most similar first."""
    with service.database.reading() as session:
        return similar(session, vault=service.vault, object_id=object_id, limit=limit)


@router.get(
    "/objects/{object_id}/decisions", responses={404: {"model": Problem}}, summary="An object's history"
)
def get_history(*, service: Served, _actor: Reader, object_id: ObjectId) -> tuple[DecisionView, ...]:
    """All that was ever decided on it, the first first, what was taken back included."""
    with service.database.reading() as session:
        return history(session, object_id)


def _analysis(session: Session, image_id: str) -> AnalysisRow:
    row = newest_analysis(session, found(session, Image, key=image_id).id)
    if row is None:
        raise NotThereError("a picture that was not read yet", expected="one that is done", remedy="wait")
    return row


def _png(service: Service, sha256: str) -> Response:
    if not sha256 or not service.vault.path(sha256).is_file():
        raise NotThereError(
            "no picture", expected="one that was read and not purged", remedy="choose another"
        )
    return Response(service.vault.get(sha256), media_type="image/png")
