"""`GET /v1/duplicates`: images that the gallery has more than once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from glocal.errors import QueryError
from glocal.gallery import GroupKind, results
from glocal.gallery.duplicates import Level
from glocal.web.comparisons import Comparison
from glocal.web.parsing import from_json
from glocal.web.problems import documented
from glocal.web.results import DuplicateLevel
from glocal.web.schemas import DuplicateGroup, DuplicateImage, DuplicatesPage
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["images"])

Cursor = Annotated[
    str | None,
    Query(
        pattern="^([0-9a-f]{32}|[0-9a-f]{16}-[0-9]{1,9})$",
        description="`next` of the page before.",
    ),
]


@router.get("/v1/duplicates", responses=documented(410))
async def list_duplicates(
    service: ServiceDep,
    level: Annotated[
        DuplicateLevel, Query(description="What the groups are made of.")
    ] = "identical",
    limit: Annotated[
        int, Query(ge=1, le=200, description="How many groups to return at most.")
    ] = 50,
    cursor: Cursor = None,
) -> DuplicatesPage:
    """List groups of duplicates.

    Level `identical` groups files that are identical byte for byte, at once. Level `copy` also
    groups edited, cropped and re-encoded copies, and level `object` other images of the same object
    or place too. For these two the server compares all images, which takes seconds to minutes:
    while `state` is `comparing`, repeat the request. The result is kept until the gallery changes.
    """
    if level == "identical":
        return await service.thread(lambda: _identical(service, limit, cursor))
    compared = Level(level)
    if cursor is not None:
        comparison, offset = service.comparisons.at(compared, cursor)
    else:
        comparison, offset = await service.comparisons.get(compared), 0
    if comparison.ended is None:
        return DuplicatesPage(level, "comparing", comparison.progress)
    return await service.thread(lambda: _page(service, comparison, offset, limit))


def _identical(service: Service, limit: int, cursor: str | None) -> DuplicatesPage:
    """A page out of the catalogue; each group is checked on disk before it is shown."""
    if cursor is not None and "-" in cursor:
        raise QueryError("the cursor belongs to another list; begin again without a cursor")
    after = None if cursor is None else UUID(hex=cursor)
    ids = service.browser.copies(limit + 1, after)
    groups = service.gallery.identical(ids[:limit])
    total = None if cursor else service.browser.count_copies()
    return DuplicatesPage(
        level="identical",
        state="done",
        groups=tuple(_served(service, group) for group in groups),
        total=total,
        next=ids[limit - 1].hex if len(ids) > limit else None,
    )


def _page(service: Service, comparison: Comparison, offset: int, limit: int) -> DuplicatesPage:
    """A page out of a comparison that has ended."""
    groups, following = comparison.page(offset, limit)
    return DuplicatesPage(
        level=comparison.level.value,
        state="done",
        groups=tuple(_groups(service, groups)),
        total=None if offset else comparison.total,
        left_out=comparison.total - len(comparison.groups),
        bytes_to_free=None if offset else comparison.bytes_to_free,
        next=following,
    )


def _groups(service: Service, groups: list[dict[str, Any]]) -> Iterable[DuplicateGroup]:
    """Groups of `glocal.web.compare_child.encoded`, as clients get them.

    Images, and whole groups, that have been removed since are left out.
    """
    made = [from_json(results.DuplicateGroup, group) for group in groups]
    found = service.browser.images(UUID(hex=image.id) for group in made for image in group.images)
    for group in made:
        images = tuple(image for image in group.images if UUID(hex=image.id) in found)
        kept = images[:1] == group.images[:1]
        if kept and (len(images) > 1 or group.kind is GroupKind.IDENTICAL):
            yield _served(service, replace(group, images=images))


def _served(service: Service, group: results.DuplicateGroup) -> DuplicateGroup:
    images = tuple(DuplicateImage(**service.served(image)) for image in group.images)
    return DuplicateGroup(group.kind, images, group.bytes_to_free, group.left_out)
