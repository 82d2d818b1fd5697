"""The application: routes, middleware and errors around a gallery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache

from fastapi import FastAPI

from glocal import __version__
from glocal.gallery import Gallery
from glocal.web.bounds import Bounds
from glocal.web.cors import Cors
from glocal.web.explaining import Explainer
from glocal.web.guard import Guard
from glocal.web.methods import Head
from glocal.web.openapi import describe, operation_id
from glocal.web.page import page_routes
from glocal.web.parameters import KNOWN_PARAMETERS
from glocal.web.problems import answer_with_problems
from glocal.web.reference import reference_page
from glocal.web.routes import (
    downloads,
    duplicates,
    explanation,
    images,
    locate,
    runs,
    search,
    serving,
    uploads,
)
from glocal.web.service import Service
from glocal.web.settings import Settings


def create_app(
    gallery: Gallery, settings: Settings, explainers: Mapping[str, Explainer] | None = None
) -> FastAPI:
    """Make the ASGI application of a gallery.

    Args:
        gallery: open for as long as the application runs.
        settings: the owner's decisions.
        explainers: the kinds of explanations of a match, by name.
    """
    if gallery.read_only:
        settings = replace(settings, read_only=True)
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
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; ours is `reference`
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: operation_id(route.name),
    )
    app.state.service = service
    for module in (
        search,
        locate,
        explanation,
        uploads,
        images,
        downloads,
        duplicates,
        runs,
        serving,
    ):
        app.include_router(module.router, dependencies=[KNOWN_PARAMETERS])
    description = cache(lambda: describe(app, token=settings.token is not None))
    app.openapi = description  # type: ignore[method-assign]
    app.include_router(page_routes(cache(lambda: reference_page(description()))))
    answer_with_problems(app)
    # The last one added sees a request first.
    app.add_middleware(Head)
    app.add_middleware(Guard, settings=settings, sessions=service.sessions)
    app.add_middleware(Bounds, settings=settings, metrics=service.metrics)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    return app
