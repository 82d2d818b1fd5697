"""`glocal info`, `glocal remove` and `glocal models`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from glocal.cli.options import gallery_option, json_option, wait_option
from glocal.cli.output import print_json, readable_bytes
from glocal.gallery import Gallery, GalleryInfo, default_folder


@click.command()
@gallery_option
@json_option
@click.option("--skipped", is_flag=True, help="List the files that could not be read, and why.")
@wait_option
def info(gallery: Path | None, as_json: bool, skipped: bool, wait: float) -> None:
    """Say what a gallery holds."""
    with Gallery(gallery, create=False, timeout=wait, serve=False) as opened:
        known = opened.info()
        failures = opened.failures() if skipped else []
    if as_json:
        value = {name: getattr(known, name) for name in known.__slots__}
        print_json(value | ({"skipped": failures} if skipped else {}), indent=2)
        return
    lines = [
        ("gallery", str(known.folder)),
        ("model", f"{known.model}, {known.model.dim} dimensions"),
        ("images", f"{known.images} in {known.files} files, {known.failed} files skipped"),
        ("graph index", f"covers {known.in_graph}; the others are compared exactly"),
        ("second look", _second_look(known)),
        ("on disk", f"{readable_bytes(known.bytes_on_disk)}, of which "
                    f"{readable_bytes(known.local_feature_bytes)} local descriptors; "
                    f"{readable_bytes(known.bytes_free)} free"),
        ("indexed", "\n".join(map(str, known.roots)) or "nothing yet"),
    ]  # fmt: skip
    for name, text in lines:
        click.echo(f"{name:12} " + text.replace("\n", "\n" + " " * 13))
    for failure in failures:
        click.echo(f"skipped      {failure.path}: {failure.reason}")


def _second_look(known: GalleryInfo) -> str:
    if not known.without_local_features:
        return f"by the local features of detector {known.detector}"
    return (
        f"{known.without_local_features} images have no local features to verify by; "
        "add them: glocal index --refresh"
    )
