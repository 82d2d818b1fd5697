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
from pydantic import TypeAdapter
from starlette.responses import StreamingResponse

from glocal.errors import GlocalError
from glocal.gallery.describing import content_id
from glocal.images.formats import detect
from glocal.web.bounds import while_there
from glocal.web.forms import body_of, read_form
from glocal.web.parameters import OWN_HEADER
from glocal.web.problems import ProblemError, documented
from glocal.web.results import AddedImages, IndexRun
from glocal.web.runs import Run
from glocal.web.schemas import IndexRuns, RunRequest
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["index runs"])

RunId = Annotated[str, InPath(pattern="^[0-9a-f]{16}$", description="The id of an index run.")]
_HEARTBEAT = 15.0
_RUN = TypeAdapter(IndexRun)
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
    "JXL": ".jxl",
    "JPEG2000": ".jp2",
}


@router.post("/v1/index-runs", status_code=202, responses=documented(), dependencies=[OWN_HEADER])
async def start_index_run(service: ServiceDep, body: RunRequest, response: Response) -> IndexRun:
    """Index an allowed folder: add what is new, update what has changed, remove what is gone."""
    folder = await service.thread(lambda: service.runs.allowed(body.folder))
    run = service.runs.add(folder)
    response.headers["Location"] = f"/v1/index-runs/{run.id}"
    return run.shown()


@router.get("/v1/index-runs", responses=documented())
async def list_index_runs(service: ServiceDep) -> IndexRuns:
    """List the index runs of this server, the latest first."""
    return IndexRuns(tuple(run.shown() for run in service.runs.all()))


@router.get("/v1/index-runs/{id}", responses=documented(404))
async def get_index_run(service: ServiceDep, id: RunId) -> IndexRun:  # noqa: A002
    """Get the state of an index run."""
    return service.runs.get(id).shown()


@router.delete("/v1/index-runs/{id}", responses=documented(404), dependencies=[OWN_HEADER])
async def cancel_index_run(service: ServiceDep, id: RunId) -> IndexRun:  # noqa: A002
    """Cancel an index run; what it has done so far is kept."""
    found = service.runs.get(id)
    service.runs.cancel(found)
    return found.shown()


@router.get(
    "/v1/index-runs/{id}/events",
    response_class=StreamingResponse,
    responses={
        **documented(404),
        200: {
            "description": "Server-sent events named `run`, each the run as JSON, until it ends.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def follow_index_run(service: ServiceDep, id: RunId) -> StreamingResponse:  # noqa: A002
    """Follow an index run with server-sent events."""
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
            yield f"event: run\ndata: {_RUN.dump_json(following.result()).decode()}\n\n"
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
    dependencies=[OWN_HEADER],
    openapi_extra=body_of("AddImages"),
)
async def add_images(request: Request, service: ServiceDep) -> AddedImages:
    """Add images: they are kept in the server's upload folder and indexed there."""
    folder = service.settings.upload_folder
    if folder is None:
        raise ProblemError(
            403,
            "this server does not accept images; its owner can name a folder for them: "
            "glocal serve --upload-folder DIR",
        )
    files: list[bytes] = []
    for name, value in await read_form(request, service.settings):
        if name != "image" or not isinstance(value, bytes):
            raise ProblemError(422, f"{name[:50]} is unexpected; send files, each named image")
        files.append(value)
    if not files:
        raise ProblemError(422, "no image was sent; send files, each named image")
    await while_there(request, _check(service, files))
    kept = [await service.thread(partial(_keep, folder, data)) for data in files]
    await service.change(lambda: service.gallery.let_in(*kept))  # though they were removed before
    names = [path.stem for path in kept]
    return AddedImages(images=tuple(names), run=service.runs.add(folder).shown())


async def _check(service: Service, files: list[bytes]) -> None:
    """Decode every image in a process of its own before any is kept."""
    async with service.search_turns.turn():
        for number, data in enumerate(files):
            if detect(data) not in _ENDINGS:
                raise ProblemError(
                    422,
                    f"file {number + 1}: unsupported format; use {', '.join(_ENDINGS)}",
                    kind="urn:glocal:image",
                )
            try:
                await service.upload_decoders.pixels(data, min_pixels=1)
            except GlocalError as error:
                raise ProblemError(
                    422, f"file {number + 1}: {error}", kind="urn:glocal:image"
                ) from error


def _keep(folder: Path, data: bytes) -> Path:
    """Write an image to a file named by its content; the client's name for it is not used."""
    name = content_id(data).hex
    path = folder / f"{name}{_ENDINGS[detect(data) or 'JPEG']}"
    if not path.exists():
        fresh = folder / f".{name}.{secrets.token_hex(4)}"
        try:
            fresh.write_bytes(data)
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise ProblemError(507, "the server's disk cannot hold the image") from error
    return path
