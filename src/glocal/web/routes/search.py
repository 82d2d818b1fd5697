"""`POST /v1/search` and `POST /v1/search/batch`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from glocal.errors import GlocalError, QueryError
from glocal.gallery.conditions import Condition
from glocal.gallery.describing import content_id
from glocal.web.bounds import while_there
from glocal.web.decoding import Decoded, file_name
from glocal.web.forms import body_of, read_batch, read_search
from glocal.web.parameters import OWN_HEADER
from glocal.web.problems import ProblemError, as_problem, documented
from glocal.web.relations import RelationJob, check_relation
from glocal.web.schemas import (
    BatchItem,
    BatchPage,
    BatchRequest,
    Hit,
    Problem,
    SearchOptions,
    SearchPage,
    SearchRequest,
)
from glocal.web.searchers import SearchJob
from glocal.web.service import Service, ServiceDep
from glocal.web.sketches import SketchJob, check_sketch
from glocal.web.uploads import is_upload

router = APIRouter(tags=["search"])

_MOST = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image of a search.

    Attributes:
        id: of an upload or of an image of the gallery.
        data: the encoded image.
        content: the id that the gallery would give to it.
        file: the name of its file, if it is the gallery's own.
    """

    id: str
    data: bytes
    content: UUID
    file: str | None = None


@router.post(
    "/v1/search",
    responses=documented(404, 410, 415),
    dependencies=[OWN_HEADER],
    openapi_extra=body_of("Search"),
)
async def search(request: Request, service: ServiceDep) -> SearchPage:
    """Find the images that show the same thing.

    The query is an image (in a form), an id (`query`) or an address (`url`): exactly one of them,
    or words (`text`), or an image and words.
    `like` and `unlike` refine it with further examples: ids or, in a form, images too. A form
    has the same fields as JSON; its ids may be repeated or joined by commas.
    """
    received = await read_search(request, service.settings)
    return await while_there(request, _search(service, received.fields, received.files))


@router.post(
    "/v1/search/batch",
    responses=documented(415),
    dependencies=[OWN_HEADER],
    openapi_extra=body_of("Batch"),
)
async def search_batch(request: Request, service: ServiceDep) -> BatchPage:
    """Search with several images, one after the other, with the same options.

    Each query has its own answer, a result or a problem: one that fails stops no other.
    """
    received = await read_batch(request, service.settings)
    return await while_there(request, _search_all(service, received.fields, received.files))


async def _search_all(
    service: Service, batch: BatchRequest, files: dict[str, list[bytes]]
) -> BatchPage:
    count = len(files["image"]) + len(batch.query)
    most = service.settings.most_images
    if not 1 <= count <= most:
        raise ProblemError(
            422,
            f"there are {count} queries; give 1 to {most} images or ids",
            kind="urn:glocal:invalid",
        )
    await service.thread(lambda: service.condition(batch.where))  # all would fail for the same
    options = batch.model_dump(include=set(SearchOptions.model_fields))
    items = []
    for data in files["image"]:
        request = SearchRequest.model_validate(options)
        items.append(await _item(_search(service, request, {"image": [data]})))
    for name in batch.query:
        request = SearchRequest.model_validate({**options, "query": name})
        items.append(await _item(_search(service, request, {})))
    return BatchPage(tuple(items))


async def _item(answer: Awaitable[SearchPage]) -> BatchItem:
    try:
        return BatchItem(result=await answer)
    except ProblemError as problem:
        return BatchItem(problem=Problem.model_validate(problem.body()))
    except GlocalError as error:
        return BatchItem(problem=Problem.model_validate(as_problem(error).body()))


async def _search(
    service: Service, request: SearchRequest, files: dict[str, list[bytes]]
) -> SearchPage:
    """Answer one search; `files` are the uploaded images of ``image``, ``like`` and ``unlike``."""
    condition = await service.thread(lambda: service.condition(request.where))
    sent = {name: [await _keep(service, data) for data in found] for name, found in files.items()}
    query = await _query_source(service, request, sent.get("image", []))
    if query is None and request.region is not None:
        raise QueryError("a search by words alone takes no region; give a query image too")
    names = ("like", "unlike")
    examples = bool(request.like or request.unlike or any(files.get(name) for name in names))
    check_relation(request, examples=examples)
    check_sketch(request, query=query is not None, examples=examples)
    like = sent.get("like", []) + [await find_source(service, name) for name in request.like]
    unlike = sent.get("unlike", []) + [await find_source(service, name) for name in request.unlike]
    clock = {}
    async with service.search_turns.turn() as clock["queue"]:
        began = time.perf_counter()
        job: SearchJob | RelationJob | SketchJob
        if query is not None and request.second_region is not None:
            job = await _relation_job(service, request, query, condition)
        elif query is not None and request.sketch:
            (drawing,) = await _decode_all(service, [query], None)
            job = SketchJob(drawing.array, request.any_view, query.id, _options(request, condition))
        else:
            first = [] if query is None else [query]
            images = await _decode_all(service, [*first, *like, *unlike], request.region)
            job = _job(request, images, len(like), query, condition)
        clock["decode"] = time.perf_counter() - began
        result = await service.searchers.run(job)
    clock |= {stage: milliseconds / 1000 for stage, milliseconds in result.timings_ms.items()}
    for stage, seconds in clock.items():
        service.metrics.stages.labels(stage).observe(seconds)
    end = request.offset + request.limit
    hits = [
        hit
        for hit in result.hits[request.offset : end]
        if request.min_score is None or hit.score >= request.min_score or hit.rank <= result.matches
    ]
    return SearchPage(
        query=result.query,
        model=result.model,
        hits=tuple(Hit(**service.served(hit)) for hit in hits),
        timings_ms={stage: round(seconds * 1000, 3) for stage, seconds in clock.items()},
        found=result.found,
        matches=result.matches,
        text=result.text,
        change=result.change,
        uploads=tuple(source.id for sources in sent.values() for source in sources),
        # Of the hits that follow hardly one is better than all of these.
        more=len(result.hits) > end and (request.min_score is None or bool(hits)),
    )


async def _query_source(
    service: Service, request: SearchRequest, uploads: list[Source]
) -> Source | None:
    """The query image: an upload, an image that is known, or one that is fetched.

    A search by words needs none.
    """
    given = len(uploads) + (request.query is not None) + (request.url is not None)
    if request.text is not None and not given:
        return None
    if given != 1:
        raise ProblemError(
            422,
            "a search needs exactly one query: send an image, or give query (an id), url or text",
            kind="urn:glocal:no-query",
        )
    if request.query is not None:
        return await find_source(service, request.query)
    if request.url is not None:
        return await _fetch(service, request.url)
    return uploads[0]


async def _keep(service: Service, data: bytes) -> Source:
    def keep() -> Source:
        return Source(service.uploads.keep(data), data, content_id(data))

    return await service.thread(keep)


async def find_source(service: Service, name: str) -> Source:
    """An upload or an image of the gallery, by its id.

    Raises:
        ProblemError: there is none, or its file is gone.
    """
    if is_upload(name):
        upload = await service.thread(lambda: service.uploads.get(name))
        if upload is None:
            raise ProblemError(
                404,
                "the server no longer keeps that upload; send the image again",
                kind="urn:glocal:expired",
            )
        return Source(name, upload.data, upload.content)

    def read() -> tuple[bytes, Path]:
        return service.original(service.shown(name))

    data, path = await service.thread(read)
    return Source(name, data, UUID(hex=name), file_name(path))


async def _fetch(service: Service, url: str) -> Source:
    if not service.settings.urls:
        raise ProblemError(
            403,
            "this server fetches no addresses; its owner can allow it: glocal serve --allow-urls",
            kind="urn:glocal:url",
        )
    return await _keep(service, await service.fetches.get(url))


async def _relation_job(
    service: Service, request: SearchRequest, query: Source, condition: Condition | None
) -> RelationJob:
    first, second = [
        (await _decode_all(service, [query], region))[0]
        for region in (request.region, request.second_region)
    ]
    return RelationJob.of(request, (first, second), query.id, **_options(request, condition))


def _options(request: SearchRequest, condition: Condition | None) -> dict[str, Any]:
    """Those that every search has."""
    limit = min(request.offset + request.limit + 1, _MOST)
    return {"where": condition, "exact": request.exact, "limit": limit}


async def _decode_all(
    service: Service, sources: list[Source], region: tuple[float, float, float, float] | None
) -> list[Decoded]:
    """Decode at the same time; the region is of the first."""
    area = service.gallery.encoder.card.area
    jobs = []
    for number, source in enumerate(sources):
        decoders = service.upload_decoders if source.file is None else service.own_decoders
        part = region if number == 0 else None
        jobs.append(decoders.pixels(source.data, min_pixels=area, region=part, name=source.file))
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _job(
    request: SearchRequest,
    images: list[Decoded],
    positive: int,
    source: Source | None,
    condition: Condition | None,
) -> SearchJob:
    """The search for the requested page and one image more, to know whether more follow.

    Args:
        request: the search.
        images: the query, then `positive` positive examples, then negative ones.
        positive: how many positive examples there are.
        source: the query; `None` for a search by words.
        condition: the request's, parsed.
    """
    arrays = [image.array for image in images]
    query, examples = (None, arrays) if source is None else (arrays[0], arrays[1:])
    return SearchJob(
        query,
        examples[:positive],
        examples[positive:],
        identity=source.content if source is not None and request.region is None else None,
        name="" if source is None else source.id,
        options={
            "text": request.text,
            "change": request.change,
            "where": condition,
            "limit": min(request.offset + request.limit + 1, _MOST),
            "exact": request.exact,
            "rerank": request.rerank,
            "verify": request.verify,
            "small_objects": request.small_objects,
            "regions": request.regions,
        },
    )
