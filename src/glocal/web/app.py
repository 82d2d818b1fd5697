"""The application: routes, guards and errors put together around a gallery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from glocal import __version__
from glocal.gallery import Gallery
from glocal.web.bounds import Bounds
from glocal.web.explaining import Explainer
from glocal.web.guard import Guard
from glocal.web.page import page_routes
from glocal.web.problems import answer_with_problems
from glocal.web.routes import (
    duplicates,
    explanation,
    images,
    runs,
    search,
    serving,
    uploads,
)
from glocal.web.schemas import Problem
from glocal.web.service import Service
from glocal.web.settings import Settings


def create_app(
    gallery: Gallery, settings: Settings, explainers: Mapping[str, Explainer] | None = None
) -> FastAPI:
    """Make the ASGI application of a gallery.

    Args:
        gallery: open for as long as the application runs.
        settings: the owner's decisions.
        explainers: by name, the ways in which a match can be explained.
    """
    service = Service(gallery, settings, explainers or {})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="glocal",
        summary="Find the same thing in your images.",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    for module in (search, explanation, uploads, images, duplicates, runs, serving):
        app.include_router(module.router)
    app.include_router(page_routes())
    answer_with_problems(app)
    app.add_middleware(Guard, settings=settings, sessions=service.sessions)
    app.add_middleware(Bounds, settings=settings, metrics=service.metrics)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The API's description, with the schema that every error has."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        made["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        app.openapi_schema = made
    return app.openapi_schema
