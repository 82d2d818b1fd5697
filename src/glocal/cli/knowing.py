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
    with Gallery(gallery, create=False, timeout=wait) as opened:
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


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@gallery_option
@wait_option
def remove(paths: tuple[Path, ...], gallery: Path | None, wait: float) -> None:
    """Forget files, and folders with all below them.

    The files themselves stay; if their folder is indexed again, they come back.
    """
    with Gallery(gallery, create=False, timeout=wait) as opened:
        removed = opened.remove(*paths)
    click.echo(f"{removed} files forgotten")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[MODEL.onnx]...")
@gallery_option
@json_option
def models(files: tuple[Path, ...], gallery: Path | None, as_json: bool) -> None:
    """List the models that come with glocal, the gallery's own, and those in files."""
    from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, bundled_models
    from glocal.encoders.registry import file_sha256
    from glocal.gallery.layout import open_layout

    folder = default_folder() if gallery is None else gallery
    listed = list(bundled_models().items())
    used = None
    if gallery is not None or (folder / "gallery.json").exists():
        layout = open_layout(folder, model=None, sha256=None, create=False, timeout=0)
        used = layout.model.sha256
        if used not in (file_sha256(path) for _, path in listed):
            listed.append((layout.model.name, layout.model_file))
    trained = [(OnnxEncoder(path).card.name, path) for path in files]
    rows: list[dict[str, Any]] = []
    for name, path in [*listed, *trained]:
        card, digest = OnnxEncoder(path).card, file_sha256(path)
        rows.append(
            {
                "name": name,
                "path": str(path),
                "version": card.version,
                "dim": card.dim,
                "licence": card.licence,
                "bytes": path.stat().st_size,
                "sha256": digest,
                "default": path == bundled_models().get(DEFAULT_MODEL),
                "gallery": digest == used,
                "card": card.everything,
            }
        )
    if as_json:
        print_json(rows, indent=2)
        return
    for row in rows:
        notes = ["default"] * row["default"] + ["this gallery's"] * row["gallery"]
        click.echo(
            f"{row['name']} v{row['version']}  {row['dim']} dimensions  "
            f"{readable_bytes(row['bytes'])}  {row['licence']}  {', '.join(notes)}".rstrip()
        )
        click.echo(f"    sha256 {row['sha256']}")
