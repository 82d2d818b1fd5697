"""`GET /v1/duplicates`: pictures that the gallery has more than once."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from glocal.web.problems import documented, printable
from glocal.web.schemas import DuplicateGroup, Duplicates, PictureDetails, PictureId
from glocal.web.service import TheService

router = APIRouter(tags=["pictures"])


@router.get("/v1/duplicates", responses=documented())
async def duplicates(
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[PictureId | None, Query()] = None,
) -> Duplicates:
    """Groups of the same picture; of kind `identical`, its files are the same byte for byte."""

    def look() -> Duplicates:
        after = None if cursor is None else UUID(hex=cursor)
        ids = service.browser.copies(limit + 1, after)
        found = service.browser.pictures(ids[:limit])
        groups = [
            DuplicateGroup(
                kind="identical",
                pictures=[
                    PictureDetails(
                        **service.picture_fields(found[one]),
                        paths=[printable(str(path)) for path in found[one].paths],
                    )
                ],
            )
            for one in ids[:limit]
            if one in found
        ]
        return Duplicates(groups=groups, next=ids[limit - 1].hex if len(ids) > limit else None)

    return await service.thread(look)
