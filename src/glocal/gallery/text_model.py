"""The text model of a gallery: fitted, kept in the gallery's folder, and removed.

::

    text.json          which text model, and what it was fitted to; written last
    text-HASH-N/       text_model.onnx, tokenizer.json, map.bridge and, where there is one,
                       combiner.onnx

The gallery keeps the text side alone. The image side encodes some of its images once, to fit the
map from the gallery's space (`glocal.query.text_to_concept`); new images need nothing. In a small
gallery both models encode several views of each image for it.
"""

from __future__ import annotations

import json
import random
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal import __version__
from glocal.encoders import Encoder
from glocal.encoders.image_text import ImageModel, TextModel, TokenSettings, token_settings
from glocal.encoders.image_text_files import COMBINER, PairFiles, find_pair
from glocal.errors import DiskFullError, GalleryError, ImageError, ModelError
from glocal.gallery.ahead import as_finished
from glocal.gallery.context import Context
from glocal.gallery.describing import unchanged
from glocal.gallery.layout import RESERVE, Layout, copy_model, require_settled
from glocal.gallery.locks import locked
from glocal.gallery.progress import Progress
from glocal.gallery.results import TextModelInfo
from glocal.gallery.stores.files import replace_file, sync_folder
from glocal.images import load
from glocal.query.text_to_concept import VIEWS, anchor_views
from glocal.upgrade import FittedBridge, fit_bridge, save_bridge
from glocal.upgrade.measure import LEAST_HELD_OUT

ANCHORS = 3_000
"""Images that both models encode, to fit the map."""

LEAST_ANCHORS = 2 * LEAST_HELD_OUT
MAP, TEXT, TOKENIZER = "map.bridge", "text_model.onnx", "tokenizer.json"
_MIN_PIXELS = 512 * 512
_Rows = list[NDArray[np.float32]]


def read_text_model(layout: Layout) -> TextModelInfo | None:
    """The text model that a gallery has, if it has one.

    Raises:
        GalleryError: what it says of it is damaged.
    """
    try:
        said = json.loads(_described(layout).read_text(encoding="utf-8"))
        return TextModelInfo(**said | {"tokens": TokenSettings(**said["tokens"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GalleryError(
            f"{_described(layout)} cannot be read ({error}); fit the text model again: "
            "glocal text --model MODEL"
        ) from error


def text_model_stamp(layout: Layout) -> tuple[int, int]:
    """Numbers that are others as soon as the gallery has another text model, or none."""
    try:
        found = _described(layout).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def add_text_model(
    context: Context,
    model: str,
    listen: Callable[[Progress], None],
    *,
    encoder: Callable[[], Encoder],
    anchors: int = ANCHORS,
    seed: int = 0,
    timeout: float = 30.0,
) -> TextModelInfo:
    """Fit the map to images of the gallery and keep it with the text side; see `Gallery`.

    Raises:
        ModelError: the image-text model cannot be found or run.
        MissingExtraError: the extra ``text`` is not installed.
        GalleryError: too few images can be read, or an upgrade is under way.
        DiskFullError: there is too little space.
    """
    layout = context.layout
    require_settled(layout)
    pair = find_pair(model)
    tokens = token_settings(pair)
    text = TextModel(pair.text, pair.tokenizer, tokens).encode("a photo")
    _require_space(layout, pair)
    found = _anchors(context, ImageModel(pair), encoder, anchors, seed, listen)
    vectors, concepts, images = found
    if (count := len(np.unique(images))) < LEAST_ANCHORS:
        raise GalleryError(
            f"{count} images of gallery {layout.folder} can be read, too few to fit a text "
            f"model; index at least {LEAST_ANCHORS}"
        )
    if concepts.shape[1] != len(text):
        raise ModelError(
            f"{pair.image} gives {concepts.shape[1]} numbers and {pair.text} {len(text)}; give two "
            "halves of one image-text model"
        )
    fitted = fit_bridge(concepts, vectors, name="ridge", seed=seed, groups=images)
    info = TextModelInfo(
        name=pair.name,
        licence=pair.licence,
        space=pair.space,
        gallery_space=layout.model.space,
        anchors=fitted.anchors,
        found=round(fitted.measured.own_image, 4),
        combines=pair.combiner is not None,
        folder=f"text-{pair.space[-16:]}-{uuid.uuid4().hex[:8]}",
        tokens=tokens,
    )
    with locked(layout.folder / "write.lock", f"gallery {layout.folder} (text model)", timeout):
        _keep(layout, pair, fitted, info)
    return info


def remove_text_model(layout: Layout, *, timeout: float = 30.0) -> bool:
    """Remove the text model; whether there was one."""
    with locked(layout.folder / "write.lock", f"gallery {layout.folder} (text model)", timeout):
        there = _described(layout).exists()
        _described(layout).unlink(missing_ok=True)
        sync_folder(layout.folder)
        _sweep(layout, keep="")
    return there


def _keep(layout: Layout, pair: PairFiles, fitted: FittedBridge, info: TextModelInfo) -> None:
    """Write a folder of its own, then name it: a reader finds the old model or the new one."""
    folder = layout.folder / info.folder
    folder.mkdir()
    try:
        copy_model(pair.text, folder / TEXT)
        copy_model(pair.tokenizer, folder / TOKENIZER)
        if pair.combiner is not None:
            copy_model(pair.combiner, folder / COMBINER)
        save_bridge(
            folder / MAP,
            fitted.bridge,
            old_space=info.space,
            new_space=info.gallery_space,
            anchors=info.anchors,
            glocal_version=__version__,
            measured=fitted.measured.figures(),
        )
        sync_folder(folder)
        sync_folder(layout.folder)
        replace_file(_described(layout), (json.dumps(asdict(info), indent=2) + "\n").encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _sweep(layout, keep=info.folder)


def _sweep(layout: Layout, keep: str) -> None:
    """Delete what an earlier text model, or a run that was stopped, has left."""
    for folder in layout.folder.glob("text-*-*"):
        if folder.is_dir() and folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)


def _described(layout: Layout) -> Path:
    return layout.folder / "text.json"


def _require_space(layout: Layout, pair: PairFiles) -> None:
    kept = (pair.text, pair.tokenizer, *([pair.combiner] if pair.combiner else []))
    needed, free = sum(path.stat().st_size for path in kept), layout.free_bytes()
    if free < needed + RESERVE:
        raise DiskFullError(
            f"the text model takes {needed >> 20} MB of disk, and {max(free - RESERVE, 0) >> 20} "
            "MB can be used; free some and try again"
        )


def _anchors(
    context: Context,
    model: ImageModel,
    encoder: Callable[[], Encoder],
    anchors: int,
    seed: int,
    listen: Callable[[Progress], None],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Vectors of some images in the gallery's space and in that of the pair, and whose they are.

    Where the gallery has fewer images than wanted, both models see each in several views. Images of
    which no file is readable and unchanged are left out.
    """
    ids = sorted(context.catalog.content_ids())
    chosen = random.Random(seed).sample(ids, min(anchors, len(ids)))  # noqa: S311 - a sample
    area = max(model.settings.height * model.settings.width * 4, _MIN_PIXELS)
    views = min(VIEWS, max(1, anchors // max(len(chosen), 1)))
    own = encoder() if views > 1 else None

    def encode(content: UUID) -> tuple[UUID, tuple[_Rows, _Rows] | None]:
        paths = [path for _, path in context.catalog.files_of([content]).get(content, [])]
        for path, data in unchanged(paths, content, context.limits):
            try:
                image = load(data, min_pixels=area, limits=context.limits, name=path)
                seen = anchor_views(image.array, views)
                vectors = [] if own is None else [each.vector for each in own.encode(seen[1:])]
            except ImageError:
                continue
            return content, (vectors, [model.encode(view) for view in seen])
        return content, None

    found: dict[UUID, tuple[_Rows, _Rows]] = {}
    results = as_finished(encode, chosen)
    try:
        for tried, (content, rows) in enumerate(results, start=1):
            if rows is not None:
                found[content] = rows
            listen(Progress("measure", tried, len(chosen)))
    finally:
        results.close()
    indexed = context.store.vectors([*found])
    known = sorted(content for content in found if content in indexed)  # whoever was first
    if not known:
        none = np.zeros((0, 0), np.float32)
        return none, none, np.zeros(0, np.int64)
    vectors = [[indexed[content], *found[content][0]] for content in known]
    concepts = [found[content][1] for content in known]
    images = np.repeat(np.arange(len(known)), [len(rows) for rows in vectors])
    return (
        np.array([row for rows in vectors for row in rows], np.float32),
        np.array([row for rows in concepts for row in rows], np.float32),
        images,
    )
