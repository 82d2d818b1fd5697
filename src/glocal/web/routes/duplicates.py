"""`/v1/duplicates`: images that the gallery has more than once, and decisions about them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray
from starlette.responses import StreamingResponse

from glocal.errors import QueryError
from glocal.gallery import GroupKind, results
from glocal.gallery.catalog import Content
from glocal.gallery.duplicate_plan import plan_lines
from glocal.gallery.duplicate_rows import rows
from glocal.gallery.duplicates import Level, components
from glocal.gallery.originals import PIXELS, WHOLE, no_larger
from glocal.web.bounds import while_there
from glocal.web.comparisons import Comparison
from glocal.web.decoding import Decoders, file_name
from glocal.web.pairs import pair_result
from glocal.web.parameters import OWN_HEADER
from glocal.web.parsing import from_json
from glocal.web.problems import documented, printable, printable_path
from glocal.web.results import (
    ComparisonState,
    ComparisonStatus,
    DuplicateLevel,
    DuplicateRow,
    PairResult,
)
from glocal.web.schemas import (
    ComparisonRequest,
    Decided,
    DecisionList,
    DecisionRequest,
    DuplicateGroup,
    DuplicateImage,
    DuplicatesPage,
    ImageId,
)
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["images"])

Cursor = Annotated[
    str | None,
    Query(
        pattern="^([0-9a-f]{32}|[0-9a-f]{16}-[0-9]{1,9})$",
        description="`next` of the page before.",
    ),
]
LevelQuery = Annotated[DuplicateLevel, Query(description="What the groups are made of.")]
Prefer = Annotated[
    str | None,
    Query(
        max_length=4_096,
        description="Of copies that are equally good keep the one in this folder of the gallery.",
    ),
]
_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The plan.",
        "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_PAGE = 200


@router.get("/v1/duplicates", responses=documented(410))
async def list_duplicates(
    service: ServiceDep,
    level: LevelQuery = "identical",
    prefer: Prefer = None,
    limit: Annotated[
        int, Query(ge=1, le=_PAGE, description="How many groups to return at most.")
    ] = 50,
    cursor: Cursor = None,
) -> DuplicatesPage:
    """List groups of duplicates.

    Level `identical` groups files that are identical byte for byte, at once. Level `copy` also
    groups edited, cropped and re-encoded copies, and level `object` other images of the same object
    or place too. For these two all images have to be compared, which takes seconds to minutes:
    where `state` is `not_compared`, POST to `/v1/duplicates/comparisons`; while it is `comparing`,
    repeat the request. The result is kept until the gallery changes.
    """
    folder = await service.thread(lambda: _folder(service, prefer))
    if level == "identical":
        return await service.thread(lambda: _identical(service, limit, cursor, folder))
    compared = Level(level)
    if cursor is not None:
        comparison, offset = service.comparisons.at(compared, cursor, folder)
    else:
        there = await service.comparisons.get(compared, folder)
        if there is None:
            return DuplicatesPage(level, "not_compared")
        comparison, offset = there, 0
    if comparison.ended is None:
        return DuplicatesPage(level, "comparing", comparison.progress)
    return await service.thread(lambda: _page(service, comparison, offset, limit))


@router.post(
    "/v1/duplicates/comparisons",
    status_code=202,
    responses=documented(),
    dependencies=[OWN_HEADER],
)
async def compare_images(service: ServiceDep, body: ComparisonRequest) -> ComparisonStatus:
    """Compare all images, to find duplicates.

    A process of low priority does it, for an hour at most. `/v1/duplicates` says how far it is, and
    then lists the groups. Where that has been done since the gallery last changed, nothing is
    compared.
    """
    folder = await service.thread(lambda: _folder(service, body.prefer))
    comparison = await service.comparisons.start(Level(body.level), folder)
    state: ComparisonState = "comparing" if comparison.ended is None else "done"
    return ComparisonStatus(body.level, state, comparison.progress)


@router.get(
    "/v1/duplicates/plan",
    response_class=StreamingResponse,
    responses={**documented(409), **_CSV},
)
async def get_duplicate_plan(
    service: ServiceDep, level: LevelQuery = "identical", prefer: Prefer = None
) -> Response:
    """Get the plan of what could be removed, for all groups that `/v1/duplicates` lists.

    The file is that of `glocal duplicates --plan`, and `glocal duplicates --check` and `--trash`
    take it. For the levels `copy` and `object` the images must have been compared.
    """
    folder = await service.thread(lambda: _folder(service, prefer))
    if level == "identical":
        groups = _all_identical(service, folder)
    else:
        comparison = await service.comparisons.ended(Level(level), folder)
        groups = _present(service, comparison.all())
    encoded = (line.encode("utf-8", "surrogateescape") for line in plan_lines(groups))
    headers = {"Content-Disposition": f'attachment; filename="duplicates-{level}.csv"'}
    return StreamingResponse(encoded, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/v1/duplicates/decisions", responses=documented())
async def list_decisions(service: ServiceDep) -> DecisionList:
    """List what was decided about duplicates, on this server or by `glocal duplicates`."""

    def read() -> DecisionList:
        pairs, kept = service.gallery.decided()
        apart, stays = sorted(pairs), sorted(kept)
        found = service.browser.images({*stays, *(one for pair in apart for one in pair)})
        here = [pair for pair in apart if pair[0] in found and pair[1] in found]
        shown = {name: service.image(one) for name, one in found.items()}
        return DecisionList(
            not_duplicates=tuple(tuple(shown[i] for i in each) for each in components(here)),
            keep=tuple(shown[i] for i in stays if i in shown),
        )

    return await service.thread(read)


@router.post("/v1/duplicates/decisions", responses=documented(404, 409), dependencies=[OWN_HEADER])
async def decide_duplicates(service: ServiceDep, body: DecisionRequest) -> Decided:
    """Decide that images are no duplicates of one another, or that some stay; or undo that.

    Decisions are about contents, so they hold wherever the files move. Nothing on disk is changed.
    """
    names = list(dict.fromkeys(body.images))
    if body.kind == "not_duplicates" and len(names) < 2:
        raise QueryError("one image alone: name two or more that are no duplicates of one another")
    ids = [UUID(hex=name) for name in names]
    folder = await service.thread(lambda: _folder(service, body.prefer))

    def change() -> int:
        for name in names:
            service.shown(name)
        with service.gallery.decisions() as decisions:
            if body.kind == "keep":
                return decisions.unset_stays(ids) if body.undo else decisions.set_stays(*ids)
            return decisions.unset_apart(ids) if body.undo else decisions.set_apart(ids)

    level = Level.COPY if body.level == "identical" else Level(body.level)
    changed, groups = await service.comparisons.decide(change, names, (level, folder))
    if groups is None or body.level == "identical":
        return Decided(changed, None)
    served = await service.thread(
        lambda: tuple(_served(service, group) for group in _present(service, groups))
    )
    return Decided(changed, served)


@router.get("/v1/duplicates/pair", responses=documented(404, 410))
async def compare_pair(
    request: Request,
    service: ServiceDep,
    first: Annotated[ImageId, Query(description="The id of the first image.")],
    second: Annotated[ImageId, Query(description="The id of the second image.")],
) -> PairResult:
    """Compare two images of the gallery: how they lie on one another, and where they differ."""
    ids = UUID(hex=first), UUID(hex=second)
    shown = await service.thread(lambda: (service.shown(first), service.shown(second)))
    if (kept := service.pairs.get(*ids)) is not None:
        return kept

    async def compare() -> PairResult:
        async with service.image_turns.turn():
            files = {}
            for name, one in zip(ids, shown, strict=True):
                data, path = await service.thread(partial(service.original, one))
                files[name] = data, file_name(path)
            sources = _Decoded(service.own_decoders, asyncio.get_running_loop(), files)
            found = await service.thread(lambda: service.gallery.compare(*ids, sources))
        return pair_result(found)

    result = await while_there(request, compare())
    service.pairs.put(*ids, result)
    return result


class _Decoded:
    """The pixels of files, decoded by the server's decoders while one of its threads waits.

    Args:
        decoders: the processes that decode.
        loop: in which they are spoken to.
        files: bytes and names.
    """

    def __init__(
        self,
        decoders: Decoders,
        loop: asyncio.AbstractEventLoop,
        files: Mapping[UUID, tuple[bytes, str]],
    ) -> None:
        self._decoders = decoders
        self._loop = loop
        self._files = files

    def pixels(self, content: UUID) -> NDArray[np.uint8] | None:
        """See `Originals.pixels`."""
        return no_larger(self._decoded(content, PIXELS))

    def whole(self, content: Content) -> NDArray[np.uint8] | None:
        """See `Originals.whole`."""
        area = content.width * content.height
        return self._decoded(content.id, area if area <= WHOLE else WHOLE // 4)

    def _decoded(self, content: UUID, least: int) -> NDArray[np.uint8]:
        data, name = self._files[content]
        work = self._decoders.pixels(data, min_pixels=least, name=name)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result().array


def _folder(service: Service, named: str | None) -> Path | None:
    """A folder of the gallery by what clients call it.

    Raises:
        QueryError: the gallery has no such folder.
    """
    if named is None:
        return None
    for folder in service.facets().folders:
        if str(printable_path(folder.path)) == named:
            return folder.path
    raise QueryError(f"the gallery has no folder {named}; /v1/facets lists its folders")


def _identical(
    service: Service, limit: int, cursor: str | None, prefer: Path | None
) -> DuplicatesPage:
    """A page out of the catalogue; each group is checked on disk before it is shown."""
    if cursor is not None and "-" in cursor:
        raise QueryError("the cursor belongs to another list; begin again without a cursor")
    after = None if cursor is None else UUID(hex=cursor)
    ids = service.browser.copies(limit + 1, after)
    groups = service.gallery.identical(ids[:limit], prefer=[prefer] if prefer else [])
    total = None if cursor else service.browser.count_copies()
    return DuplicatesPage(
        level="identical",
        state="done",
        groups=tuple(_served(service, group) for group in groups),
        total=total,
        next=ids[limit - 1].hex if len(ids) > limit else None,
    )


def _all_identical(service: Service, prefer: Path | None) -> Iterator[results.DuplicateGroup]:
    after = None
    while ids := service.browser.copies(_PAGE, after):
        yield from service.gallery.identical(ids, prefer=[prefer] if prefer else [])
        after = ids[-1]


def _page(service: Service, comparison: Comparison, offset: int, limit: int) -> DuplicatesPage:
    """A page out of a comparison that has ended."""
    groups, following = comparison.page(offset, limit)
    return DuplicatesPage(
        level=comparison.level.value,
        state="done",
        groups=tuple(_served(service, group) for group in _present(service, groups)),
        total=None if offset else comparison.total,
        left_out=comparison.left_out,
        bytes_to_free=None if offset else comparison.bytes_to_free,
        next=following,
    )


def _present(
    service: Service, groups: Iterable[dict[str, Any]]
) -> Iterator[results.DuplicateGroup]:
    """Groups of `glocal.web.compare_child.encoded`.

    Images, and whole groups, that have been removed since are left out.
    """
    made = [from_json(results.DuplicateGroup, group) for group in groups]
    found = service.browser.images(UUID(hex=image.id) for group in made for image in group.images)
    for group in made:
        images = tuple(image for image in group.images if UUID(hex=image.id) in found)
        kept = images[:1] == group.images[:1]
        if kept and (len(images) > 1 or group.kind is GroupKind.IDENTICAL):
            yield replace(group, images=images)


def _served(service: Service, group: results.DuplicateGroup) -> DuplicateGroup:
    images = tuple(DuplicateImage(**service.served(image)) for image in group.images)
    proposed = tuple(
        DuplicateRow(
            path=printable_path(row.path),
            image=row.image.id,
            action=row.action,
            verdict=row.verdict,
            probability=row.probability,
            reason=printable(row.reason),
        )
        for row in rows(group)
    )
    return DuplicateGroup(
        kind=group.kind,
        images=images,
        bytes_to_free=group.bytes_to_free,
        left_out=group.left_out,
        rows=proposed,
    )
