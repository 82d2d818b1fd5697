"""`/v1/index-runs`, and adding images."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from starlette.responses import StreamingResponse

from glocal.errors import GlocalError
from glocal.gallery.describing import content_id
from glocal.images.formats import detect
from glocal.web import schemas
from glocal.web.bounds import while_there
from glocal.web.forms import read_form
from glocal.web.problems import ProblemError, documented
from glocal.web.runs import Run
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["index runs"])

RunId = Annotated[str, InPath(pattern="^[0-9a-f]{16}$")]
_HEARTBEAT = 15.0
_ENDINGS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "HEIF": ".heic",
    "GIF": ".gif",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "PPM": ".ppm",
}


@router.post("/v1/index-runs", status_code=202, responses=documented())
async def begin(service: ServiceDep, asked: schemas.RunRequest, response: Response) -> schemas.Run:
    """Index a folder that the server's owner allowed: add, re-read and forget what changed."""
    folder = await service.thread(lambda: service.runs.allowed(asked.folder))
    run = service.runs.add(folder)
    response.headers["Location"] = f"/v1/index-runs/{run.id}"
    return run.shown()


@router.get("/v1/index-runs", responses=documented())
async def runs(service: ServiceDep) -> schemas.Runs:
    """The index runs of this server, the latest first."""
    return schemas.Runs(runs=[run.shown() for run in service.runs.all()])


@router.get("/v1/index-runs/{id}", responses=documented(404))
async def run(service: ServiceDep, id: RunId) -> schemas.Run:  # noqa: A002
    """How an index run is doing."""
    return service.runs.get(id).shown()


@router.delete("/v1/index-runs/{id}", responses=documented(404))
async def cancel(service: ServiceDep, id: RunId) -> schemas.Run:  # noqa: A002
    """Stop an index run; what it has done so far is kept."""
    found = service.runs.get(id)
    service.runs.cancel(found)
    return found.shown()


@router.get(
    "/v1/index-runs/{id}/events",
    response_class=StreamingResponse,
    responses={
        **documented(404),
        200: {
            "description": "Server-sent events `run`, each the run as JSON, until it is over.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def events(service: ServiceDep, id: RunId) -> StreamingResponse:  # noqa: A002
    """Follow an index run."""
    found = service.runs.get(id)
    return StreamingResponse(
        _events(service, found),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _events(service: Service, run: Run) -> AsyncIterator[str]:
    changes = service.runs.follow(run)
    following = asyncio.ensure_future(anext(changes))
    ending = asyncio.ensure_future(service.ending.wait())
    try:
        while not service.draining:
            either = asyncio.FIRST_COMPLETED
            await asyncio.wait({following, ending}, timeout=_HEARTBEAT, return_when=either)
            if not following.done():
                yield ": still here\n\n"
                continue
            yield f"event: run\ndata: {following.result().model_dump_json()}\n\n"
            following = asyncio.ensure_future(anext(changes))
    except StopAsyncIteration:
        return
    finally:
        for task in (following, ending):
            task.cancel()
        await asyncio.gather(following, ending, return_exceptions=True)
        await changes.aclose()


@router.post(
    "/v1/images",
    status_code=202,
    responses=documented(415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["image"],
                        "additionalProperties": False,
                        "properties": {
                            "image": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "string", "contentMediaType": "image/*"},
                            }
                        },
                    }
                }
            },
        }
    },
)
async def add(request: Request, service: ServiceDep) -> schemas.Added:
    """Add images: they are kept in the folder that the owner set aside, and indexed there."""
    folder = service.settings.upload_folder
    if folder is None:
        raise ProblemError(
            403,
            "this server takes no images; its owner can set a folder aside: "
            "glocal serve --upload-folder DIR",
        )
    files: list[bytes] = []
    for name, value in await read_form(request, service.settings):
        if name != "image" or not isinstance(value, bytes):
            raise ProblemError(422, "send images as files named image")
        files.append(value)
    if not files:
        raise ProblemError(422, "there is no file named image")
    await while_there(request, _check(service, files))
    names = [await service.thread(partial(_keep, folder, data)) for data in files]
    return schemas.Added(images=names, run=service.runs.add(folder).shown())


async def _check(service: Service, files: list[bytes]) -> None:
    """Decode every image where it can do no harm, before any is kept."""
    async with service.search_turns.turn():
        for number, data in enumerate(files):
            if detect(data) not in _ENDINGS:
                raise ProblemError(422, f"file {number + 1}: not an image that can be kept")
            try:
                await service.upload_decoders.pixels(data, min_pixels=1)
            except GlocalError as error:
                raise ProblemError(
                    422, f"file {number + 1}: {error}", kind="urn:glocal:image"
                ) from error


def _keep(folder: Path, data: bytes) -> str:
    """Write an image under a name made of its content alone; the client's name is not used."""
    name = content_id(data).hex
    path = folder / f"{name}{_ENDINGS[detect(data) or 'JPEG']}"
    if not path.exists():
        fresh = folder / f".{name}.{secrets.token_hex(4)}"
        try:
            fresh.write_bytes(data)
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise ProblemError(507, "the image cannot be kept on the server's disk") from error
    return name
