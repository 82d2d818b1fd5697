"""`/v1/uploads`: images that were sent with a search, for as long as the server keeps them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from glocal.web.bounds import while_there
from glocal.web.problems import documented
from glocal.web.routes.search import find_source
from glocal.web.schemas import ThumbnailParameter
from glocal.web.service import Service, ServiceDep
from glocal.web.settings import ThumbnailSize

router = APIRouter(tags=["search"])

UploadId = Annotated[str, Path(pattern="^u-[A-Za-z0-9_-]{22}$", description="The id of an upload.")]
_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image.",
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get(
    "/v1/uploads/{id}/thumbnail",
    response_class=Response,
    responses={**documented(404), **_IMAGE},
)
async def get_upload_thumbnail(
    request: Request,
    service: ServiceDep,
    id: UploadId,  # noqa: A002
    size: ThumbnailParameter = ThumbnailSize.MEDIUM,
) -> Response:
    """Get a small version of an upload as JPEG, without its metadata."""
    body = await while_there(request, _thumbnail(service, id, int(size)))
    return Response(
        body, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"}
    )


async def _thumbnail(service: Service, name: str, size: int) -> bytes:
    async with service.image_turns.turn():
        source = await find_source(service, name)
        return await service.upload_decoders.jpeg(source.data, side=size, name=source.file)
