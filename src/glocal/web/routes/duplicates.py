"""`GET /v1/duplicates`: images that the gallery has more than once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from glocal.errors import QueryError
from glocal.gallery.browsing import Shown
from glocal.gallery.duplicates import Level, best_path
from glocal.web.comparisons import Comparison
from glocal.web.problems import documented, printable
from glocal.web.schemas import DuplicateGroup, DuplicateImage, DuplicateLevel, Duplicates
from glocal.web.service import Service, ServiceDep

router = APIRouter(tags=["images"])

Cursor = Annotated[
    str, Query(pattern="^([0-9a-f]{32}|[0-9a-f]{16}-[0-9]{1,9})$", description="`next` of a page")
]
_FIRST = {"verdict": None, "same_probability": 1.0, "copy_probability": 1.0, "removable": False}


@router.get("/v1/duplicates", responses=documented(410))
async def duplicates(
    service: ServiceDep,
    level: DuplicateLevel = "identical",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> Duplicates:
    """Groups of the same image.

    Of level `identical` files that are the same byte for byte, at once; of level `copy` edited,
    cropped and re-encoded images too; of level `object` other images of the same thing too.
    For these two all images are compared, which takes seconds to minutes: while `state` is
    `looking`, ask again. What was found is kept until the gallery changes.
    """
    if level == "identical":
        return await service.thread(lambda: _identical(service, limit, cursor))
    wanted = Level(level)
    if cursor is not None:
        comparison, offset = service.comparisons.at(wanted, cursor)
    else:
        comparison, offset = await service.comparisons.get(wanted), 0
    if comparison.ended is None:
        return Duplicates(
            level=level,
            state="looking",
            progress=comparison.progress,
            groups=[],
            total=None,
            left_out=0,
            bytes_to_free=None,
            next=None,
        )
    return await service.thread(lambda: _compared(service, comparison, offset, limit))


def _identical(service: Service, limit: int, cursor: str | None) -> Duplicates:
    """A page out of the catalogue."""
    if cursor is not None and "-" in cursor:
        raise QueryError("the cursor is none of this list's: begin again without one")
    after = None if cursor is None else UUID(hex=cursor)
    ids = service.browser.copies(limit + 1, after)
    found = service.browser.images(ids[:limit])
    groups = []
    for one in ids[:limit]:
        if one in found:
            first = _image(service, found[one], _FIRST)
            groups.append(
                DuplicateGroup(
                    kind="identical",
                    images=[first],
                    left_out=0,
                    bytes_to_free=first.bytes * len(first.spare),
                )
            )
    total, freed = (None, None) if cursor else service.browser.count_copies()
    return Duplicates(
        level="identical",
        state="done",
        progress=None,
        groups=groups,
        total=total,
        left_out=0,
        bytes_to_free=freed,
        next=ids[limit - 1].hex if len(ids) > limit else None,
    )


def _compared(service: Service, comparison: Comparison, offset: int, limit: int) -> Duplicates:
    """A page out of a comparison that is over."""
    told, following = comparison.page(offset, limit)
    groups = _groups(service, told)
    return Duplicates(
        level=comparison.level.value,
        state="done",
        progress=None,
        groups=groups,
        total=None if offset else comparison.total,
        left_out=comparison.total - len(comparison.groups),
        bytes_to_free=None if offset else comparison.bytes_to_free,
        next=following,
    )


def _groups(service: Service, told: Iterable[dict[str, Any]]) -> list[DuplicateGroup]:
    """Groups with what the catalogue knows of their images; some may be gone since."""
    members = [[{**_FIRST, "id": one["kept"]}, *one["others"]] for one in told]
    ids = [[UUID(hex=member["id"]) for member in group] for group in members]
    found = service.browser.images(one for group in ids for one in group)
    groups = []
    for one, facts, names in zip(told, members, ids, strict=True):
        images = [
            _image(service, found[name], fact)
            for name, fact in zip(names, facts, strict=True)
            if name in found
        ]
        if names[0] in found and (len(images) > 1 or one["kind"] == "identical"):
            groups.append(
                DuplicateGroup(
                    kind=one["kind"],
                    images=images,
                    left_out=one["left_out"],
                    bytes_to_free=one["bytes_to_free"],
                )
            )
    return groups


def _image(service: Service, shown: Shown, facts: dict[str, Any]) -> DuplicateImage:
    """An image and what speaks for its tie; of its files one stays, if it cannot go itself."""
    kept = best_path(shown.paths)
    spare = [path for path in shown.paths if facts["removable"] or path != kept]
    tie = {name: facts[name] for name in _FIRST}
    return DuplicateImage(
        **service.image_fields(shown, kept),
        **tie,
        paths=[printable(str(path)) for path in shown.paths],
        spare=[printable(str(path)) for path in spare],
    )
