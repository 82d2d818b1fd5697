"""`GET /v1/duplicates`: images that the gallery has more than once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from glocal.errors import QueryError
from glocal.gallery import GroupKind, results
from glocal.gallery.browsing import Shown
from glocal.gallery.duplicates import Level, best_path
from glocal.gallery.results import image_fields
from glocal.ranking.evidence import Verdict
from glocal.web.comparisons import Comparison
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
    """A page out of the catalogue."""
    if cursor is not None and "-" in cursor:
        raise QueryError("the cursor belongs to another list; begin again without a cursor")
    after = None if cursor is None else UUID(hex=cursor)
    ids = service.browser.copies(limit + 1, after)
    found = service.browser.images(ids[:limit])
    images = [_image(service, found[one], {}) for one in ids[:limit] if one in found]
    total, freed = (None, None) if cursor else service.browser.count_copies()
    return DuplicatesPage(
        level="identical",
        state="done",
        groups=tuple(
            DuplicateGroup(GroupKind.IDENTICAL, (image,), image.bytes * len(image.spare))
            for image in images
        ),
        total=total,
        bytes_to_free=freed,
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
    """Groups of `glocal.web.compare_child.encoded`, with what the catalogue knows of the images.

    Images, and whole groups, that have been removed since are left out.
    """
    ids = [[UUID(hex=image["id"]) for image in group["images"]] for group in groups]
    found = service.browser.images(one for members in ids for one in members)
    for group, members in zip(groups, ids, strict=True):
        kind = GroupKind(group["kind"])
        images = tuple(
            _image(service, found[one], fields)
            for one, fields in zip(members, group["images"], strict=True)
            if one in found
        )
        if members[0] in found and (len(images) > 1 or kind is GroupKind.IDENTICAL):
            yield DuplicateGroup(kind, images, group["bytes_to_free"], group["left_out"])


def _image(service: Service, shown: Shown, fields: dict[str, Any]) -> DuplicateImage:
    """An image of a group.

    Args:
        service: the server's.
        shown: what the catalogue knows of the image.
        fields: what the comparison found out about it; nothing for the first image of a group.
    """
    kept = best_path(shown.paths)
    removable = fields.get("removable", False)
    verdict = fields.get("verdict")
    image = results.DuplicateImage(
        **image_fields(shown.content, shown.paths, kept),
        verdict=None if verdict is None else Verdict(verdict),
        same_probability=fields.get("same_probability", 1.0),
        copy_probability=fields.get("copy_probability", 1.0),
        inliers=fields.get("inliers", 0),
        removable=removable,
        spare=tuple(path for path in shown.paths if removable or path != kept),
    )
    served = service.served(image)
    # Spare paths are some of the paths, so they are made printable in the same way.
    printable = dict(zip(image.paths, served["paths"], strict=True))
    return DuplicateImage(**served | {"spare": tuple(printable[path] for path in image.spare)})
