"""`/v1/downloads`: several images at once, as a ZIP archive or as a table."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from glocal.web.downloads import archive, size, table
from glocal.web.forms import body_of, megabytes, read_selection
from glocal.web.parameters import OWN_HEADER
from glocal.web.problems import ProblemError, documented
from glocal.web.service import ServiceDep

router = APIRouter(tags=["images"])


def _file(kind: str, description: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {kind: {"schema": schema}}}}


@router.post(
    "/v1/downloads/zip",
    response_class=StreamingResponse,
    responses={**documented(413, 415), **_file("application/zip", "The archive.")},
    dependencies=[OWN_HEADER],
    openapi_extra=body_of("Selection"),
)
async def download_zip(request: Request, service: ServiceDep) -> Response:
    """Download the files of images as a ZIP archive.

    Each is the same as from `/v1/images/{id}/file`. The archive also has the table `images.csv`,
    which says what became of each image: one whose file is missing or has changed is named there
    and left out.
    """
    names = await read_selection(request, service.settings)
    most = service.settings.archive_bytes
    wanted = await service.thread(lambda: size(service, names))
    if wanted > most:
        raise ProblemError(
            413,
            f"these images have {megabytes(wanted)}, and an archive can have up to "
            f"{megabytes(most)}; download them in parts",
        )
    return StreamingResponse(
        archive(service, names),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="images.zip"'},
    )


@router.post(
    "/v1/downloads/csv",
    response_class=Response,
    responses={**documented(415), **_file("text/csv", "The table.")},
    dependencies=[OWN_HEADER],
    openapi_extra=body_of("Selection"),
)
async def download_csv(request: Request, service: ServiceDep) -> Response:
    """Download what is known of images as a table (CSV), a line for each id.

    Text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    names = await read_selection(request, service.settings)
    body = await service.thread(lambda: table(service, names))
    headers = {"Content-Disposition": 'attachment; filename="images.csv"'}
    return Response(body, media_type="text/csv; charset=utf-8", headers=headers)
