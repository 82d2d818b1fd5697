"""`POST /v1/search`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from glocal.errors import QueryError
from glocal.gallery import SearchResult
from glocal.gallery.conditions import Condition
from glocal.gallery.describing import content_id
from glocal.gallery.results import plain
from glocal.ranking.evidence import Verdict
from glocal.web.bounds import while_there
from glocal.web.decoding import Decoded, file_name
from glocal.web.fetching import fetch
from glocal.web.forms import Asked, read_question
from glocal.web.problems import ProblemError, documented
from glocal.web.schemas import Answer, FoundImage, Question
from glocal.web.service import Service, ServiceDep
from glocal.web.uploads import is_upload

router = APIRouter(tags=["search"])

_MOST = 10_000
_FILES = {"type": "array", "items": {"type": "string", "contentMediaType": "image/*"}}


def _form_schema() -> dict[str, Any]:
    """The same fields as in JSON, and the files."""
    schema = Question.model_json_schema(by_alias=True)
    fields = {**schema["properties"], "image": _FILES, "against": _FILES}
    return {"type": "object", "properties": fields, "additionalProperties": False}


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image of a search: its name for later, its file, and what the gallery would call it."""

    name: str
    data: bytes
    content: UUID
    file: str | None = None


@router.post(
    "/v1/search",
    response_model=Answer,
    responses=documented(404, 410, 415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": _form_schema()},
                "application/json": {"schema": Question.model_json_schema(by_alias=True)},
            },
        }
    },
)
async def search(request: Request, service: ServiceDep) -> Answer:
    """Find the same thing as in the query.

    The query is the first of these that is given: `query`, the first `image`, `url`, the first of
    `like`. The other images for it are more examples of what is sought; `region` is of the query.
    """
    asked = await read_question(request, service.settings)
    return await while_there(request, _search(service, asked))


async def _search(service: Service, asked: Asked) -> Answer:
    question = asked.question
    try:
        region = question.box()
    except ValueError as error:
        raise QueryError(str(error)) from error
    condition = await service.thread(lambda: service.condition(question.where))
    uploads = [_keep(service, data) for data in asked.images]
    against = [_keep(service, data) for data in asked.against]
    wanted = await _wanted(service, question, uploads)
    if not wanted:
        raise ProblemError(
            422,
            "a search needs an image: image, query, like or url",
            kind="urn:glocal:no-query",
        )
    unwanted = against + [await find_source(service, name) for name in question.unlike]
    clock = {}
    async with service.search_turns.turn() as clock["queue"]:
        began = time.perf_counter()
        area = service.gallery.encoder.card.area
        images = await _decode_all(service, [*wanted, *unwanted], area, region)
        clock["decode"] = time.perf_counter() - began
        arrays = [image.array for image in images]
        result = await service.thread(
            lambda: _distinct(service, arrays, len(wanted), question, condition)
        )
    began = time.perf_counter()
    identical = wanted[0].content if region is None else None
    answer = await service.thread(lambda: _answer(service, result, question, identical))
    # What the gallery calls decoding is checking an array here.
    stages = {name: ms / 1000 for name, ms in result.timings_ms.items() if name != "decode"}
    clock = {**clock, **stages, "look_up": time.perf_counter() - began}
    for stage, seconds in clock.items():
        service.metrics.stages.labels(stage).observe(seconds)
    return Answer(
        query=wanted[0].name,
        uploads=[source.name for source in (*uploads, *against)],
        model=str(result.model),
        hits=answer[0],
        more=answer[1],
        timings_ms={stage: round(seconds * 1000, 3) for stage, seconds in clock.items()},
    )


async def _wanted(service: Service, question: Question, uploads: list[Source]) -> list[Source]:
    """The images of what is sought, the query first."""
    first = [] if question.query is None else [await find_source(service, question.query)]
    fetched = [] if question.url is None else [await _fetch(service, question.url)]
    liked = [await find_source(service, name) for name in question.like]
    return [*first, *uploads, *fetched, *liked]


def _keep(service: Service, data: bytes) -> Source:
    return Source(service.uploads.keep(data), data, content_id(data))


async def find_source(service: Service, name: str) -> Source:
    """An upload or an image of the gallery, by the name that clients know it by.

    Raises:
        ProblemError: there is none, or its file is gone.
    """
    if is_upload(name):
        upload = service.uploads.get(name)
        if upload is None:
            raise ProblemError(
                404,
                "that upload is no longer kept; send the image again",
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
            403, "this server fetches no addresses; its owner can allow it: glocal serve "
            "--allow-urls", kind="urn:glocal:url",
        )  # fmt: skip
    data = await service.thread(lambda: fetch(url, service.settings.limits.max_bytes))
    return _keep(service, data)


async def _decode_all(
    service: Service,
    sources: list[Source],
    area: int,
    region: tuple[float, float, float, float] | None,
) -> list[Decoded]:
    """Decode side by side; the region is of the first."""
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


def _distinct(
    service: Service,
    arrays: list[Any],
    positive: int,
    question: Question,
    condition: Condition | None,
) -> SearchResult:
    """Search until there are enough different images; each file of a copy is a hit of its own."""
    needed = min(question.offset + question.limit + 1, _MOST)
    ask = needed
    while True:
        result = service.gallery.search(
            arrays[0],
            like=arrays[1:positive],
            unlike=arrays[positive:],
            where=condition,
            limit=ask,
        )
        known = service.browser.contents_of(hit.path for hit in result.hits)
        if len(result.hits) < ask or len(set(known.values())) >= needed or ask >= _MOST:
            return result
        ask = min(2 * ask, _MOST)


def _answer(
    service: Service, result: SearchResult, question: Question, identical: UUID | None
) -> tuple[list[FoundImage], bool]:
    """The page of images that was asked for, each once, and whether more follow."""
    known = service.browser.contents_of(hit.path for hit in result.hits)
    best: dict[UUID, Any] = {}
    for hit in result.hits:
        if hit.path in known:
            best.setdefault(known[hit.path], hit)
    chosen = list(best.items())[question.offset : question.offset + question.limit]
    shown = service.browser.images(content for content, _ in chosen)
    hits = []
    for place, (content, hit) in enumerate(chosen):
        if content in shown:  # else it was forgotten in this very moment
            evidence = plain(hit.evidence)
            if content == identical:
                evidence["verdict"] = str(Verdict.IDENTICAL)
            fields = service.image_fields(shown[content], hit.path)
            hits.append(
                FoundImage(
                    **fields,
                    rank=question.offset + place + 1,
                    score=hit.score,
                    evidence=evidence,
                )
            )
    return hits, len(best) > question.offset + question.limit
