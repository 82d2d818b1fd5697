"""What the server says of itself, and the page's way in: health, metrics, info, login."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from glocal import __version__
from glocal.web.guard import COOKIE
from glocal.web.problems import ProblemError, documented, printable
from glocal.web.schemas import MOST_HITS, Bounds, Features, Health, Info, Login, Model
from glocal.web.service import ServiceDep
from glocal.web.settings import ThumbnailSize

router = APIRouter(tags=["server"])


@router.get("/v1/health")
async def health() -> Health:
    """Whether the server lives."""
    return Health(status="ok")


@router.get("/v1/ready", responses=documented(503))
async def ready(service: ServiceDep) -> Health:
    """Whether the server takes requests: not while it ends."""
    if service.draining:
        raise ProblemError(503, "the server is ending", headers={"Retry-After": "5"})
    return Health(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        **documented(),
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def metrics(service: ServiceDep) -> Response:
    """Counters and timings, as Prometheus reads them."""
    counts = await service.thread(service.browser.counts)
    service.metrics.images.set(counts.images)
    service.metrics.files.set(counts.files)
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/info", responses=documented())
async def info(service: ServiceDep) -> Info:
    """What the gallery holds and what this server does."""
    settings, gallery = service.settings, service.gallery
    counts = await service.thread(service.browser.counts)
    in_graph = await service.thread(gallery.in_graph)
    model = gallery.model
    return Info(
        version=__version__,
        images=counts.images,
        files=counts.files,
        skipped=counts.skipped,
        in_graph=in_graph,
        model=Model(name=model.name, version=model.version, dim=model.dim, sha256=model.sha256),
        roots=[printable(str(root)) for root in gallery.roots()],
        allowed_folders=[printable(str(folder)) for folder in settings.folders],
        features=Features(
            urls=settings.urls,
            positions=settings.positions,
            removing=not settings.read_only,
            index_runs=bool(settings.folders) and not settings.read_only,
            uploads=settings.upload_folder is not None and not settings.read_only,
            explanations=sorted(service.explainers),
            login=settings.token is not None,
        ),
        limits=Bounds(
            image_bytes=settings.limits.max_bytes,
            image_pixels=settings.limits.max_pixels,
            body_bytes=settings.body_bytes,
            images=settings.most_images,
            hits=MOST_HITS,
            thumbnail_sizes=[int(size) for size in ThumbnailSize],
        ),
    )


@router.post("/v1/login", status_code=204, responses=documented())
async def login(service: ServiceDep, asked: Login, request: Request) -> Response:
    """Exchange the server's token for a cookie that scripts cannot read."""
    if service.settings.token is None:
        return Response(status_code=204)  # nobody needs one
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE,
        service.sessions.open(asked.token),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return answer


@router.post("/v1/logout", status_code=204, responses=documented())
async def logout(service: ServiceDep, request: Request) -> Response:
    """End the session of the page's cookie."""
    service.sessions.close(request.cookies.get(COOKIE, ""))
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return answer
