"""Searching by a drawing: learning from the gallery's own photos, and making the query."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Encoder
from glocal.errors import GalleryError, ImageError, QueryError
from glocal.gallery.context import Context
from glocal.gallery.describing import unchanged
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.query import Query
from glocal.gallery.stores.files import replace_file
from glocal.images import load
from glocal.query.drawings import line_drawing, turned_view, upright_ink
from glocal.query.freeview import FreeviewSketch

PHOTOS = 200
"""Photos that are learnt from at most, at three images to be encoded each."""

_LEAST = 20
_LEARN = "to learn from the gallery's photos run: glocal sketches"


@dataclass(frozen=True, slots=True)
class Sketching:
    """What a gallery knows of drawings.

    Args:
        context: the gallery's.
        encoder: its model.
    """

    context: Context
    encoder: Encoder

    @property
    def file(self) -> Path:
        """Where what was learnt is kept, beside the vectors; it can be learnt again."""
        return self.context.layout.folder / "sketches.npz"

    @property
    def space(self) -> str:
        """The vector space of the gallery's model."""
        return self.context.layout.model.space

    def learn(self, listen: Callable[[Progress], None] = quiet) -> int:
        """Learn from line drawings of the gallery's photos, as they are and turned.

        Args:
            listen: told the progress.

        Returns:
            How many photos were learnt from.

        Raises:
            GalleryError: fewer than 20 photos can be read.
        """
        ids = sorted(self.context.catalog.content_ids())
        chosen = random.Random(0).sample(ids, min(PHOTOS, len(ids)))  # noqa: S311 - a sample
        files, turns = self.context.catalog.files_of(chosen), np.random.default_rng(0)
        sketches, photos, things = [], [], []
        for done, content in enumerate(chosen):
            listen(Progress("measure", done, len(chosen)))
            photo = self._photo(content, [path for _, path in files.get(content, [])])
            if photo is None:
                continue
            seen = [photo, turned_view(photo, turns)]
            drawn = [line_drawing(view, detail=float(turns.uniform(0.6, 1.2))) for view in seen]
            vectors = [each.vector for each in self.encoder.encode([*seen, *drawn])]
            photos += vectors[:2]
            sketches += vectors[2:]
            things += [done, done]
        if len(photos) < 2 * _LEAST:
            raise GalleryError(
                f"{len(photos) // 2} photos of the gallery can be read, too few to learn drawings "
                f"from; index {_LEAST} or more"
            )
        made = FreeviewSketch().fit(np.stack(sketches), np.stack(photos), np.array(things))
        half = {name: rows.astype(np.float16) for name, rows in made.arrays().items()}
        kept = io.BytesIO()
        np.savez(kept, space=np.array(self.space), **half)  # type: ignore[arg-type]
        replace_file(self.file, kept.getvalue())
        return len(photos) // 2

    def _photo(self, content: UUID, paths: list[Path]) -> NDArray[np.uint8] | None:
        """The pixels of an image, if a file still has it."""
        limits = self.context.limits
        for path, data in unchanged(paths, content, limits):
            try:
                return load(data, min_pixels=self.encoder.card.area, limits=limits, name=path).array
            except ImageError:
                continue
        return None

    def learnt(self) -> FreeviewSketch | None:
        """What was learnt for the gallery's model; `None` where nothing was.

        Raises:
            GalleryError: the file is damaged.
        """
        try:
            with self.file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                if str(kept["space"]) != self.space:  # of a model that the gallery has left
                    return None
                return FreeviewSketch().restore({name: kept[name] for name in kept.files})
        except FileNotFoundError:
            return None
        except QueryError as error:
            raise GalleryError(f"what was learnt of drawings is of before; {_LEARN}") from error
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise GalleryError(f"{self.file.name} of the gallery is damaged; {_LEARN}") from error

    def query(self, drawing: NDArray[np.uint8], *, any_view: bool, name: str) -> Query:
        """A drawing as a query.

        Where nothing was learnt it is compared as it is.

        Args:
            drawing: ``(h, w, 3)`` uint8 RGB.
            any_view: find what was drawn from any view.
            name: what the query is called.

        Raises:
            QueryError: nothing is drawn, or any view is wanted and nothing was learnt.
            GalleryError: what was learnt is damaged.
        """
        (features,) = self.encoder.encode([upright_ink(drawing)])
        made = self.learnt()
        if made is None and any_view:
            raise QueryError(f"any view has to be learnt first; {_LEARN}")
        vector = features.vector
        if made is not None:
            vector = made.queries(vector[None], any_view=any_view)[0]
        return Query(vector, self.space, name=name)
