"""`/v1/images` and `/v1/facets`: looking through the gallery, its files, forgetting them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from glocal.gallery.browsing import MOST_ON_A_PAGE
from glocal.web.bounds import while_there
from glocal.web.decoding import file_name
from glocal.web.problems import documented, printable
from glocal.web.schemas import (
    CameraFacet,
    Facets,
    FolderFacet,
    GalleryImageDetails,
    ImageId,
    ImagePage,
    MonthFacet,
    PlaceFacet,
    Removed,
)
from glocal.web.service import Service, ServiceDep
from glocal.web.settings import ThumbnailSize

router = APIRouter(tags=["images"])

_IMMUTABLE = "private, max-age=31536000, immutable"
_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/v1/images", responses=documented())
async def images(
    service: ServiceDep,
    limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    cursor: Annotated[str | None, Query(max_length=20_000)] = None,
    where: Annotated[str | None, Query(max_length=10_000)] = None,
    order: Literal["taken", "path"] = "taken",
) -> ImagePage:
    """Browse the gallery: the latest first, or by path.

    `next` of an answer is the `cursor` of the page that follows; `offset` leaves images out from
    there, or from the beginning.
    """

    def look() -> ImagePage:
        condition = service.condition(where)
        page = service.browser.page(
            limit=limit, order=order, where=condition, cursor=cursor, offset=offset
        )
        return ImagePage(
            images=[service.image(one) for one in page.images],
            total=service.browser.count(condition) if cursor is None else None,
            next=page.following,
        )

    return await service.thread(look)


@router.get("/v1/images/{id}", responses=documented(404))
async def image(service: ServiceDep, id: ImageId) -> GalleryImageDetails:  # noqa: A002
    """What is known of an image."""

    def look() -> GalleryImageDetails:
        shown = service.shown(id)
        return GalleryImageDetails(
            **service.image_fields(shown), paths=[printable(str(p)) for p in shown.paths]
        )

    return await service.thread(look)


@router.delete("/v1/images/{id}", responses=documented(404, 409))
async def remove(service: ServiceDep, id: ImageId) -> Removed:  # noqa: A002
    """Forget an image: every file that holds it. Nothing on disk is touched.

    An index run over a file's folder brings it back.
    """

    def remove() -> Removed:
        shown = service.shown(id)
        removed = service.gallery.remove(*shown.paths)
        service.thumbnails.remove(shown.content.id, ThumbnailSize)
        return Removed(removed=removed)

    return await service.thread(remove)


@router.get(
    "/v1/images/{id}/file",
    response_class=Response,
    responses={**documented(404, 410), **_IMAGE, 304: {"description": "unchanged"}},
)
async def file(request: Request, service: ServiceDep, id: ImageId) -> Response:  # noqa: A002
    """The image itself, without its metadata unless the owner shows positions.

    JPEG, PNG and WebP keep every pixel; what browsers cannot show comes as JPEG.
    """
    tag = f'"{id}-{"as-it-is" if service.settings.positions else "plain"}"'
    if _has(request, tag):
        await service.thread(lambda: service.shown(id))
        return _unchanged(tag)

    async def make() -> tuple[bytes, str]:
        async with service.image_turns.turn():
            data, path = await service.thread(lambda: service.original(service.shown(id)))
            return await service.own_decoders.plain(
                data, keep=service.settings.positions, name=file_name(path)
            )

    body, media_type = await while_there(request, make())
    return Response(body, media_type=media_type, headers=_headers(tag))


@router.get(
    "/v1/images/{id}/thumbnail",
    response_class=Response,
    responses={**documented(404, 410), **_IMAGE, 304: {"description": "unchanged"}},
)
async def thumbnail(
    request: Request,
    service: ServiceDep,
    id: ImageId,  # noqa: A002
    size: ThumbnailSize = ThumbnailSize.MEDIUM,
) -> Response:
    """A small version of an image: `size` is the most its longer side has, in pixels."""
    tag = f'"{id}-{int(size)}"'
    if _has(request, tag):
        await service.thread(lambda: service.shown(id))
        return _unchanged(tag)
    body = await while_there(request, _thumbnail(service, id, int(size)))
    return Response(body, media_type="image/jpeg", headers=_headers(tag))


async def _thumbnail(service: Service, name: str, size: int) -> bytes:
    shown = await service.thread(lambda: service.shown(name))
    content = shown.content.id
    kept = await service.thread(lambda: service.thumbnails.get(content, size))
    service.metrics.thumbnails.labels("made" if kept is None else "cache").inc()
    if kept is not None:
        return kept
    async with service.image_turns.turn():
        data, path = await service.thread(lambda: service.original(shown))
        made = await service.own_decoders.jpeg(data, side=size, name=file_name(path))
    await service.thread(lambda: service.thumbnails.put(content, size, made))
    return made


@router.get("/v1/facets", responses=documented())
async def facets(service: ServiceDep) -> Facets:
    """What there is to filter by: folders, months, cameras, places."""

    def look() -> Facets:
        found = service.facets()
        return Facets(
            folders=[
                FolderFacet(
                    path=printable(str(one.path)),
                    name=printable(one.path.name or str(one.path)),
                    parent=None if one.parent is None else printable(str(one.parent)),
                    files=one.files,
                )
                for one in found.folders
            ],
            months=[MonthFacet(month=month, images=count) for month, count in found.months],
            undated=found.undated,
            cameras=[CameraFacet(camera=name, images=count) for name, count in found.cameras],
            places=[
                PlaceFacet(
                    latitude=one.latitude,
                    longitude=one.longitude,
                    images=one.images,
                    id=one.example.hex,
                )
                for one in found.places
            ]
            if service.settings.positions
            else [],
        )

    return await service.thread(look)


def _has(request: Request, tag: str) -> bool:
    """Whether the client has this very image; what it is never changes under its id."""
    said = request.headers.get("if-none-match", "")
    return said == "*" or tag in (one.strip().removeprefix("W/") for one in said.split(","))


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": _IMMUTABLE, "Content-Disposition": "inline"}


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers=_headers(tag))
