"""The images of a gallery as rows of a table of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.browsing import MOST_ON_A_PAGE, Browser
from glocal.gallery.conditions import Condition
from glocal.gallery.embedding_table import TableRow
from glocal.gallery.results import GalleryImage, image_fields


def table_rows(
    browser: Browser,
    vectors: Callable[[Sequence[UUID]], Mapping[UUID, NDArray[np.float32]]],
    where: Condition | None,
) -> Iterator[TableRow]:
    """A row for each image that meets a condition, read some hundred at a time.

    Args:
        browser: of the gallery.
        vectors: of its images.
        where: the condition.
    """
    cursor: str | None = None
    while True:
        page = browser.page(limit=MOST_ON_A_PAGE, order="added", where=where, cursor=cursor)
        known = vectors([shown.content.id for shown in page.images])
        for shown in page.images:
            vector = known.get(shown.content.id)
            if vector is None:  # removed in this very moment
                continue
            image = GalleryImage(**image_fields(shown.content, shown.paths))
            yield TableRow(
                image.id,
                vector,
                product_id=str(image.path),
                timestamp=None if image.taken is None else image.taken.isoformat(),
                centre=image.position,
                pixel_bbox=(0, 0, image.width, image.height),
            )
        cursor = page.following
        if cursor is None:
            return
