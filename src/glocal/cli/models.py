"""`glocal models`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from glocal.cli.options import FilePath, gallery_option, json_option
from glocal.cli.output import print_json, readable_bytes, say, stitch_line
from glocal.gallery import default_folder


@click.command()
@click.argument("files", nargs=-1, type=FilePath(), metavar="[MODEL.onnx]...")
@gallery_option
@json_option
def models(files: tuple[Path, ...], gallery: Path | None, as_json: bool) -> None:
    """List the models that come with glocal, the gallery's model, and each MODEL.onnx."""
    from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, bundled_models
    from glocal.encoders.model_files import file_sha256
    from glocal.encoders.stitches import stitches_of
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
        encoder, digest = OnnxEncoder(path), file_sha256(path)
        card = encoder.card
        rows.append(
            {
                "name": name,
                "path": str(path),
                "version": card.version,
                "dim": card.dim,
                "licence": card.licence,
                "bytes": path.stat().st_size,
                "sha256": digest,
                "precision": encoder.precision,
                "default": path == bundled_models().get(DEFAULT_MODEL),
                "gallery": digest == used,
                "card": card.everything,
            }
        )
    if as_json:
        print_json(rows, indent=2)
        return
    for row in rows:
        notes = ["default"] * row["default"] + ["used by this gallery"] * row["gallery"]
        notes += ["encodes in int8 here"] * (row["precision"] == "int8")
        say(
            f"{row['name']} v{row['version']}  {row['dim']} dimensions  "
            f"{readable_bytes(row['bytes'])}  {row['licence']}  {', '.join(notes)}".rstrip()
        )
        say(f"    sha256 {row['sha256']}")
        for stitch in stitches_of(row["card"], row["path"]):
            say(f"    stitch {stitch_line(stitch)}")
