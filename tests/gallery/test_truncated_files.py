"""Files that were cut off are in the gallery, and are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from image_folders import image, write_images

from glocal.gallery import Gallery


def test_a_file_cut_off_is_indexed_named_and_found(
    open_gallery: Callable[..., Gallery], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    write_images(photos, 4)
    whole = image(9, size=(96, 96))
    cut, copy = photos / "cut.jpg", photos / "copy.jpg"
    cut.write_bytes(whole[: len(whole) * 97 // 100])
    gallery = open_gallery()
    report = gallery.add(photos)
    assert (report.added, report.failed, report.truncated) == (5, (), (cut,))
    assert gallery.check().truncated_files == (cut,)
    assert gallery.search(whole, limit=1).hits[0].path == cut
    assert gallery.search(cut, limit=1).hits[0].path == cut  # as a query too
    copy.write_bytes(cut.read_bytes())  # not decoded again, and named all the same
    report = gallery.refresh()
    assert (report.added, report.truncated) == (1, (copy,))
    assert set(gallery.check().truncated_files) == {cut, copy}
    cut.write_bytes(whole)
    copy.unlink()
    assert gallery.refresh().truncated == ()
    assert gallery.check().truncated_files == ()
