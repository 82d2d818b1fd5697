"""`GET /v1/explanation`: why an image matches a query."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from glocal.errors import QueryError
from glocal.web.bounds import while_there
from glocal.web.explaining import Explanation, Pair
from glocal.web.problems import ProblemError, documented
from glocal.web.routes.search import find_source
from glocal.web.schemas import ImageId, SourceId, read_region
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["search"])

_PIXELS = 1_000_000  # to which both images are decoded at least, if they are that large
_ANY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An image, or numbers as JSON.",
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


@router.get("/v1/explanation", response_class=Response, responses={**documented(404, 410), **_ANY})
async def get_explanation(
    request: Request,
    service: ServiceDep,
    query: Annotated[SourceId, Query(description="The id of the query.")],
    hit: Annotated[ImageId, Query(description="The id of the hit.")],
    kind: Annotated[str, Query(max_length=50, description="The kind of explanation.")],
    region: Annotated[
        str | None,
        Query(max_length=200, description="x,y,width,height of the query, as in the search."),
    ] = None,
) -> Response:
    """Explain why a hit matches a query, in one of the kinds that `/v1/info` lists."""
    if kind not in service.explainers:
        known = ", ".join(sorted(service.explainers)) or "none"
        raise ProblemError(404, f"there is no explanation of the kind {kind!r}; use: {known}")
    made = await while_there(request, _explain(service, query, hit, kind, region))
    return Response(made.body, media_type=made.media_type)


async def _explain(
    service: Service, query: str, hit: str, kind: str, region: str | None
) -> Explanation:
    try:
        box = read_region(region)
    except ValueError as error:
        raise QueryError(str(error)) from error
    async with service.image_turns.turn():
        images = []
        for name, part in ((query, box), (hit, None)):
            source = await find_source(service, name)
            decoders = service.upload_decoders if source.file is None else service.own_decoders
            images.append(
                await decoders.pixels(
                    source.data, min_pixels=_PIXELS, region=part, name=source.file
                )
            )
        pair = Pair(service.gallery, images[0].array, images[1].array)
        return await service.thread(lambda: service.explainers[kind](pair))
