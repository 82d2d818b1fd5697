"""`glocal info`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from glocal.cli.options import gallery_option, json_option, wait_option
from glocal.cli.output import counted, print_json, readable_bytes, say, stitch_line
from glocal.encoders import DEFAULT_MODEL, OWN, find_model
from glocal.encoders.onnx import read_card
from glocal.encoders.stitches import Stitch
from glocal.errors import ModelError
from glocal.gallery import Gallery, GalleryInfo
from glocal.gallery.leaving_out import USUALLY
from glocal.gallery.model_id import ModelId
from glocal.gallery.results import UpgradeProgress

_MOST_LISTED = 20


@click.command()
@gallery_option
@json_option
@click.option("--skipped", is_flag=True, help="List the files that could not be read, and why.")
@wait_option
def info(gallery: Path | None, as_json: bool, skipped: bool, wait: float) -> None:
    """Show what a gallery contains."""
    with Gallery(gallery, create=False, timeout=wait) as opened:
        known = opened.info()
        failures = opened.failures() if skipped else []
        left_out = opened.left_out()
        stitches = _stitches(opened)
    if as_json:
        value = {name: getattr(known, name) for name in known.__slots__}
        value["excluded"] = {str(root): globs for root, globs in left_out.globs.items()}
        value["removed"] = sorted(left_out.removed)
        value["stitches"] = [asdict(each) for each in stitches]
        print_json(value | ({"skipped": failures} if skipped else {}), indent=2)
        return
    lines = [
        ("gallery", str(known.folder)),
        ("model", f"{known.model}, {known.model.dim} dimensions"),
        *(("" if n else "stitches", stitch_line(each)) for n, each in enumerate(stitches)),
        *(_upgrade(known.upgrade) or _newer(known.model)),
        ("photos", f"{known.images} in {counted(known.files, 'file')}; "
                   f"{counted(known.failed, 'file')} skipped"),
        *([("vectors", f"in the cluster's collection {known.collection}")]
          if known.collection else []),
        *([("catalogue", f"in the PostgreSQL schema {known.catalogue}")]
          if known.catalogue else []),
        ("graph index", _graph(known)),
        ("verification", _verification(known)),
        ("regions", _regions(known)),
        ("words", _words(known)),
        ("on disk", f"{readable_bytes(known.bytes_on_disk)}, of which "
                    f"{readable_bytes(known.local_feature_bytes)} local features and "
                    f"{readable_bytes(known.region_bytes)} regions; "
                    f"{readable_bytes(known.bytes_free)} free"),
        *_some("indexed", [str(root) for root in known.roots]),
    ]  # fmt: skip
    if not known.roots:
        lines.append(("indexed", "nothing yet"))
    for root, globs in sorted(left_out.globs.items()):
        lines += [("excluded", f"{glob} in {root}") for glob in globs]
    lines += _some("removed", [str(path) for path in sorted(left_out.removed)])
    lines.append(("left out", USUALLY))
    for name, text in lines:
        say(f"{name:12} {text}")
    for failure in failures:
        say(f"skipped      {failure.path}: {failure.reason}")


def _some(name: str, found: Sequence[str]) -> list[tuple[str, str]]:
    """A line for each, but for the last of very many."""
    lines = [("" if n else name, text) for n, text in enumerate(found[:_MOST_LISTED])]
    if len(found) > _MOST_LISTED:
        lines.append(("", f"and {len(found) - _MOST_LISTED} more; --json lists all"))
    return lines


def _stitches(gallery: Gallery) -> tuple[Stitch, ...]:
    """The encoders in the model's file; none where it is lost, which `glocal check` says."""
    try:
        return gallery.stitches
    except ModelError:
        return ()


def _upgrade(known: UpgradeProgress | None) -> list[tuple[str, str]]:
    if known is None:
        return []
    way = "by both models" if known.by_both else "through a bridge"
    lines = [
        (
            "upgrade",
            f"from {known.old}: {known.encoded} of {counted(known.images, 'photo')} encoded; the "
            f"others are searched {way}; to continue, run: glocal upgrade",
        )
    ]
    if not known.verified:
        lines.append(("", "the others are not verified, since the old model's file is gone"))
    return lines


def _newer(model: ModelId) -> list[tuple[str, str]]:
    card = read_card(find_model(DEFAULT_MODEL))
    if card is None or model.name != card.name or model.version >= card.version:
        return []
    return [
        (
            "",
            f"version {card.version} comes with this glocal; to see what it would bring, run: "
            "glocal upgrade --dry-run",
        )
    ]


def _graph(known: GalleryInfo) -> str:
    if not known.in_graph:
        return "none; a search compares all photos"
    return f"covers {counted(known.in_graph, 'photo')}; a search compares all others"


def _verification(known: GalleryInfo) -> str:
    own = known.detector == OWN
    features = "local features of the model" if own else f"local features of {known.detector}"
    if not known.without_local_features:
        return f"by {features}"
    return (
        f"by {features}; {counted(known.without_local_features, 'photo')} without any, "
        "to add them run: glocal index --refresh"
    )


def _regions(known: GalleryInfo) -> str:
    if not known.without_regions:
        return known.regions
    return (
        f"{known.regions}; {counted(known.without_regions, 'photo')} without any, in which small "
        "things are not found; to add them run: glocal index --refresh"
    )


def _words(known: GalleryInfo) -> str:
    text = known.text_model
    if text is None:
        return "as they are written; to find what they mean, see: glocal text"
    if text.gallery_space != known.model.space:
        return (
            f"as they are written; {text.name} was fitted to vectors of another model, to fit it "
            "again run: glocal text --model MODEL"
        )
    return f"as they are written and, by {text.name}, as they are meant"
