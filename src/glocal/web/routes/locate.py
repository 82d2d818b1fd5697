"""`POST /v1/locate`: where a photo was probably taken."""

from __future__ import annotations

import logging
from dataclasses import fields
from uuid import UUID

from fastapi import APIRouter, Request

from glocal.errors import ModelMismatchError, WorldModelError
from glocal.gallery.describing import content_id
from glocal.gallery.locating import ProbablePlace
from glocal.web import schemas
from glocal.web.bounds import while_there
from glocal.web.forms import body_of, read_locate
from glocal.web.parameters import OWN_HEADER
from glocal.web.problems import ProblemError, documented
from glocal.web.routes.search import Source, find_source
from glocal.web.searchers import LocateJob
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["search"])
_log = logging.getLogger(__name__)


@router.post(
    "/v1/locate",
    responses=documented(404, 410, 415),
    dependencies=[OWN_HEADER],
    openapi_extra=body_of("Locate"),
)
async def locate(request: Request, service: ServiceDep) -> schemas.Located:
    """Say where a photo was probably taken, by the photos that say where they were.

    The photo is an image (in a form) or an id (`query`). Only servers that show positions answer.
    `world` has what a trained world model guesses, where the server has one (`glocal serve
    --world`).
    """
    received = await read_locate(request, service.settings)
    if not service.settings.positions:
        raise ProblemError(
            403,
            "this server does not say where images were taken; its owner can allow it: "
            "glocal serve --show-positions",
        )
    return await while_there(request, _locate(service, received.fields, received.files["image"]))


async def _locate(
    service: Service, request: schemas.LocateRequest, files: list[bytes]
) -> schemas.Located:
    condition = await service.thread(lambda: service.condition(request.where))
    if len(files) + (request.query is not None) != 1:
        raise ProblemError(
            422,
            "exactly one photo is needed: send an image, or give query (an id)",
            kind="urn:glocal:no-query",
        )
    if request.query is not None:
        source = await find_source(service, request.query)
    else:
        (data,) = files
        name = await service.thread(lambda: service.uploads.keep(data))
        source = Source(name, data, await service.thread(lambda: content_id(data)))
    decoders = service.upload_decoders if source.file is None else service.own_decoders
    async with service.search_turns.turn():
        decoded = await decoders.pixels(
            source.data, min_pixels=service.gallery.encoder.card.area, name=source.file
        )
        options = {"where": condition, "world": service.settings.world}
        job = LocateJob(decoded.array, source.content, source.id, options)
        try:
            located = await service.searchers.run(job)
        except (WorldModelError, ModelMismatchError) as error:
            _log.warning("%s", error)
            raise ProblemError(
                503,
                "the server's world model cannot be used with its gallery any more; ask its owner "
                "to train one anew: glocal world",
            ) from error
    return schemas.Located(
        query=located.query,
        model=located.model,
        position=located.position or await service.thread(lambda: _known(service, source.content)),
        places=tuple(_place(service, place) for place in located.places[: request.limit]),
        silence=located.silence,
        timings_ms=located.timings_ms,
        world=located.world[: request.limit],
    )


def _known(service: Service, image: UUID) -> tuple[float, float] | None:
    """Where the gallery's image of these bytes was taken."""
    shown = service.browser.images([image]).get(image)
    if shown is None or shown.content.latitude is None or shown.content.longitude is None:
        return None
    return shown.content.latitude, shown.content.longitude


def _place(service: Service, place: ProbablePlace) -> schemas.ProbablePlace:
    own = {each.name: getattr(place, each.name) for each in fields(place)}
    hits = tuple(schemas.Hit(**service.served(hit)) for hit in place.hits)
    return schemas.ProbablePlace(**own | {"hits": hits})
