"""`/v1/images` and `/v1/facets`: browsing the gallery, its files, and removing images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from glocal.gallery.browsing import MOST_ON_A_PAGE, Order
from glocal.web.bounds import while_there
from glocal.web.decoding import file_name
from glocal.web.parameters import OWN_HEADER
from glocal.web.problems import documented, printable, printable_path
from glocal.web.results import CameraFacet, Facets, FolderFacet, MonthFacet, PlaceFacet
from glocal.web.schemas import (
    GalleryImage,
    ImageId,
    ImagePage,
    Removed,
    ThumbnailParameter,
)
from glocal.web.service import Service, ServiceDep
from glocal.web.settings import ThumbnailSize

router = APIRouter(tags=["images"])

_IMMUTABLE = "private, max-age=31536000, immutable"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The image.", "content": {"image/jpeg": _BINARY}},
    304: {"description": "The client has the image already."},
}
_IMAGE: dict[int | str, dict[str, Any]] = {
    **_JPEG,
    200: {
        "description": "The image.",
        "content": {
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/webp": _BINARY,
            "image/*": _BINARY,
        },
    },
}


@router.get("/v1/images", responses=documented())
async def list_images(
    service: ServiceDep,
    limit: Annotated[
        int, Query(ge=1, le=MOST_ON_A_PAGE, description="How many images to return at most.")
    ] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31, description="How many images to skip.")] = 0,
    cursor: Annotated[
        str | None, Query(max_length=20_000, description="`next` of the page before.")
    ] = None,
    where: Annotated[
        str | None, Query(max_length=10_000, description="A condition that the images meet.")
    ] = None,
    order: Annotated[
        Order,
        Query(
            description="`taken`: the latest first; `added`: the last added first; `bytes`: the "
            "largest first; or by `path` or `name`."
        ),
    ] = "taken",
    reverse: Annotated[
        bool, Query(description="The other way round; those without a date stay last.")
    ] = False,
    name: Annotated[
        str | None,
        Query(max_length=255, description="What a file name contains, whatever the case."),
    ] = None,
) -> ImagePage:
    """List the images of the gallery, page by page."""

    def read() -> ImagePage:
        condition, named = service.condition(where), name or None
        page = service.browser.page(
            limit=limit,
            order=order,
            reverse=reverse,
            where=condition,
            named=named,
            cursor=cursor,
            offset=offset,
        )
        return ImagePage(
            images=tuple(map(service.image, page.images)),
            total=service.browser.count(condition, named) if cursor is None else None,
            next=page.following,
        )

    return await service.thread(read)


@router.get("/v1/images/{id}", responses=documented(404))
async def get_image(service: ServiceDep, id: ImageId) -> GalleryImage:  # noqa: A002
    """Get what is known of an image."""
    return await service.thread(lambda: service.image(service.shown(id)))


@router.delete("/v1/images/{id}", responses=documented(404, 409), dependencies=[OWN_HEADER])
async def remove_image(service: ServiceDep, id: ImageId) -> Removed:  # noqa: A002
    """Remove an image, with every file that holds it, from the index.

    Nothing on disk is changed. An index run over the folder of a file adds the image again.
    """

    def remove() -> Removed:
        shown = service.shown(id)
        removed = service.gallery.remove(*shown.paths)
        service.thumbnails.remove(shown.content.id, ThumbnailSize)
        return Removed(removed=removed)

    return await service.change(remove)


@router.get(
    "/v1/images/{id}/file",
    response_class=Response,
    responses={**documented(404, 410), **_IMAGE},
)
async def get_image_file(request: Request, service: ServiceDep, id: ImageId) -> Response:  # noqa: A002
    """Get the image itself, without its metadata unless the server shows positions.

    JPEG, PNG and WebP files keep every pixel; other formats are converted to JPEG.
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
    responses={**documented(404, 410), **_JPEG},
)
async def get_image_thumbnail(
    request: Request,
    service: ServiceDep,
    id: ImageId,  # noqa: A002
    size: ThumbnailParameter = ThumbnailSize.MEDIUM,
) -> Response:
    """Get a small version of an image."""
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
async def get_facets(service: ServiceDep) -> Facets:
    """Get what images can be filtered by: folders, months, cameras and places."""

    def read() -> Facets:
        found = service.facets()
        places = found.places if service.settings.positions else ()
        return Facets(
            folders=tuple(
                FolderFacet(
                    path=printable_path(one.path),
                    name=printable(one.path.name or str(one.path)),
                    parent=None if one.parent is None else printable_path(one.parent),
                    files=one.files,
                )
                for one in found.folders
            ),
            months=tuple(MonthFacet(month, count) for month, count in found.months),
            undated=found.undated,
            cameras=tuple(CameraFacet(name, count) for name, count in found.cameras),
            places=tuple(
                PlaceFacet(one.latitude, one.longitude, one.images, one.example.hex)
                for one in places
            ),
        )

    return await service.thread(read)


def _has(request: Request, tag: str) -> bool:
    """Whether the client has this image already; the content of an id never changes."""
    said = request.headers.get("if-none-match", "")
    return said == "*" or tag in (one.strip().removeprefix("W/") for one in said.split(","))


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": _IMMUTABLE, "Content-Disposition": "inline"}


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers=_headers(tag))
