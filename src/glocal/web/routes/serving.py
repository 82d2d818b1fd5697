"""Health, metrics, info, and the login of the page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from glocal import __version__
from glocal.web.guard import COOKIE, Role
from glocal.web.parameters import OWN_HEADER
from glocal.web.problems import ProblemError, documented, printable_path
from glocal.web.results import Features, ServerInfo, ServerLimits
from glocal.web.schemas import MOST_HITS, MOST_SELECTED, Health, LoginRequest
from glocal.web.service import ServiceDep
from glocal.web.settings import ThumbnailSize

router = APIRouter(tags=["server"])

OPEN: dict[str, Any] = {"security": []}
"""Described as needing neither token nor cookie."""


@router.get("/v1/health", openapi_extra=OPEN)
async def get_health() -> Health:
    """Check that the server runs."""
    return Health()


@router.get("/v1/ready", responses=documented(503), openapi_extra=OPEN)
async def get_readiness(service: ServiceDep) -> Health:
    """Check that the server decodes images and searches; while it shuts down it is not ready."""
    if service.draining:
        raise ProblemError(503, "the server is shutting down", headers={"Retry-After": "5"})
    await service.readiness.check()
    return Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        **documented(),
        200: {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def get_metrics(service: ServiceDep) -> Response:
    """Get counters and timings in the format of Prometheus."""
    counts = await service.thread(service.browser.counts)
    service.metrics.images.set(counts.images)
    service.metrics.files.set(counts.files)
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/info", responses=documented())
async def get_info(request: Request, service: ServiceDep) -> ServerInfo:
    """Get what the gallery holds and what this server allows the client."""
    settings, gallery = service.settings, service.gallery
    changing = request.state.role >= Role.CHANGE
    counts = await service.thread(service.browser.counts)
    return ServerInfo(
        version=__version__,
        images=counts.images,
        files=counts.files,
        failed=counts.skipped,
        in_graph=await service.thread(gallery.in_graph),
        model=gallery.model,
        roots=tuple(map(printable_path, gallery.roots())),
        allowed_folders=tuple(map(printable_path, settings.folders)),
        features=Features(
            deciding=changing,
            urls=settings.urls,
            positions=settings.positions,
            removing=changing,
            index_runs=bool(settings.folders) and changing,
            uploads=settings.upload_folder is not None and changing,
            explanations=tuple(sorted(service.explainers)),
            changes=await service.thread(service.follows_changes),
            login=settings.token is not None,
        ),
        limits=ServerLimits(
            image_bytes=settings.limits.max_bytes,
            image_pixels=settings.limits.max_pixels,
            body_bytes=settings.body_bytes,
            images=settings.most_images,
            hits=MOST_HITS,
            selected=MOST_SELECTED,
            archive_bytes=settings.archive_bytes,
            batch=settings.most_images,
            thumbnail_sizes=tuple(int(size) for size in ThumbnailSize),
        ),
        upgrade=await service.thread(gallery.upgrade().progress),
    )


@router.post(
    "/v1/login",
    status_code=204,
    responses=documented(),
    dependencies=[OWN_HEADER],
    openapi_extra=OPEN,
)
async def log_in(service: ServiceDep, body: LoginRequest, request: Request) -> Response:
    """Exchange the server's token for a cookie that scripts cannot read."""
    if service.settings.token is None:
        return Response(status_code=204)  # nobody needs one
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE,
        service.sessions.open(body.token, request.client.host if request.client else ""),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return answer


@router.post(
    "/v1/logout",
    status_code=204,
    responses=documented(),
    dependencies=[OWN_HEADER],
    openapi_extra=OPEN,
)
async def log_out(service: ServiceDep, request: Request) -> Response:
    """End the session of the cookie."""
    service.sessions.close(request.cookies.get(COOKIE, ""))
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return answer
