"""Searches in processes of their own."""

from __future__ import annotations

import asyncio
import os
import pickle
from pathlib import Path

import pytest

import glocal.errors
from glocal.errors import GalleryError, GlocalError
from glocal.gallery import Gallery
from glocal.web.searchers import Searchers


def die(_: Gallery) -> None:
    os._exit(3)


def folder_of(gallery: Gallery) -> tuple[Path, int]:
    return gallery.folder, os.getpid()


def refuse(_: Gallery) -> None:
    raise GalleryError("no")


def test_what_ends_each_process_is_refused_and_the_next_search_is_answered(
    tmp_path: Path,
) -> None:
    async def go(searchers: Searchers) -> None:
        with pytest.raises(GalleryError, match="made the processes"):
            await searchers.run(die)
        folder, process = await searchers.run(folder_of)
        assert folder == tmp_path / "gallery"
        assert process != os.getpid()
        with pytest.raises(GalleryError, match=r"^no$"):
            await searchers.run(refuse)

    with Gallery(tmp_path / "gallery") as gallery:
        searchers = Searchers(gallery, processes=1, threads=1)
        asyncio.run(go(searchers))
        searchers.stop()


def test_errors_come_from_another_process_as_they_are() -> None:
    kinds = [each for each in vars(glocal.errors).values() if isinstance(each, type)]
    for kind in kinds:
        assert issubclass(kind, GlocalError)
        copied = pickle.loads(pickle.dumps(kind("what was wrong")))  # noqa: S301
        assert (type(copied), str(copied)) == (kind, "what was wrong")
