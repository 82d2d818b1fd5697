"""`glocal world`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np

from glocal.cli.options import FilePath, gallery_option, json_option, wait_option
from glocal.cli.output import check_folder, counted, print_json, readable_bytes, say
from glocal.errors import MissingExtraError, install_command
from glocal.gallery import Gallery
from glocal.geography import gazetteer
from glocal.geography.world_model import WorldCard, WorldModel


@click.command()
@click.argument("file", type=FilePath(dir_okay=False), metavar="FILE.npz")
@gallery_option
@click.option(
    "--where", metavar="EXPR", help="Only photos that meet a condition; see glocal search --help."
)
@click.option(
    "--table",
    type=FilePath(dir_okay=False),
    metavar="FILE.parquet",
    help="Train on the vectors and positions of this table, as glocal export writes it, instead of "
    "the gallery's.",
)
@click.option(
    "--locations",
    metavar="NAME",
    default="fourier",
    show_default=True,
    help="How places are encoded: fourier, harmonics or sine-cosine.",
)
@click.option(
    "--towns",
    is_flag=True,
    help="Let it choose among all towns of 15,000 people too (extra places); otherwise among the "
    "places of the photos.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 1_000_000),
    default=1_000,
    show_default=True,
    help="Batches of each of the two trainings.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--show", is_flag=True, help="Train nothing; say what the file is.")
@json_option
@wait_option
def world(
    file: Path,
    gallery: Path | None,
    where: str | None,
    table: Path | None,
    locations: str,
    towns: bool,
    steps: int,
    seed: int,
    show: bool,
    as_json: bool,
    wait: float,
) -> None:
    """Train a world model, for glocal locate --world, on photos that say where they were taken.

    It learns how vectors of photos and places go together (GeoCLIP), so that it names places of
    which there is no photo. No photo is encoded again. It knows no more than your photos tell:
    some thousands from all over the world are needed for it to be of use, and it says how often it
    was right about places that were kept aside. No trained world model comes with glocal.
    """
    if show:
        _show(file, WorldModel.load(file), as_json)
        return
    if table is not None and where is not None:
        raise click.UsageError("--where is about photos of the gallery; leave out --table")
    check_folder(file)
    if find_spec("torch") is None:
        raise MissingExtraError(
            "glocal world needs the package torch, which is not installed; run: "
            f"{install_command('glocal[learn]')}"
        )
    from glocal.learn.locations.world import train_world_model

    further = gazetteer.town_positions() if towns else np.zeros((0, 2))
    if table is None:
        with Gallery(gallery, create=False, timeout=wait) as opened:
            vectors, positions = opened.located_vectors(where)
            space = opened.space
    else:
        vectors, positions, space = _of_table(table)

    def listen(stage: str) -> None:
        if not as_json:
            say(f"{stage} ...", err=True)

    made = train_world_model(
        vectors,
        positions,
        space=space,
        locations=locations,
        towns=further,
        steps=steps,
        seed=seed,
        listen=listen,
    )
    made.save(file)
    _show(file, made, as_json)


def told(card: WorldCard) -> str:
    """What may be expected of a world model, in one sentence."""
    known = card.measured
    if not {"median_km", "median_km_by_chance"} <= known.keys():
        return f"world model of {counted(card.photos, 'photo')}, of which nothing was measured"
    return (
        f"world model of {counted(card.photos, 'photo')}: of those from places kept aside half "
        f"were placed within {known['median_km']:,.0f} km (by chance "
        f"{known['median_km_by_chance']:,.0f})"
    )


def _of_table(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Vectors and positions of the rows that have one."""
    from glocal.errors import TableError
    from glocal.gallery.embedding_table import EmbeddingTable

    found = EmbeddingTable(path)
    if not found.space:
        raise TableError(f"{path} does not say of which vector space its vectors are")
    kept, places = [], []
    for _, vectors, others in found.batches(shown=("centre_lat", "centre_lon")):
        if len(others) < 2:
            raise TableError(f"{path} has no columns centre_lat and centre_lon")
        centres = [others[name].to_pylist() for name in ("centre_lat", "centre_lon")]
        for vector, latitude, longitude in zip(vectors, *centres, strict=True):
            if latitude is not None and longitude is not None:
                kept.append(vector)
                places.append((latitude, longitude))
    return np.array(kept), np.array(places).reshape(-1, 2), found.space


def _show(file: Path, model: WorldModel, as_json: bool) -> None:
    card = model.card
    if as_json:
        from dataclasses import asdict

        print_json(asdict(card) | {"path": str(file), "positions": len(model.positions)})
        return
    say(f"{file}: {readable_bytes(file.stat().st_size)}, {len(model.positions):,} positions")
    say(told(card))
    known = card.measured
    for km in (200, 750, 2_500):
        if f"within_{km}_km" in known:
            say(
                f"  within {km:,} km: {known[f'within_{km}_km']:.0%} "
                f"(by chance {known[f'within_{km}_km_by_chance']:.0%})"
            )
    if "right_within_radius" in known:
        say(
            "  the first place was right, within its radius, for "
            f"{known['right_within_radius']:.0%} and had {known['share_of_first']:.0%} of the "
            "belief"
        )
    if card.licence:
        say(f"licence   {card.licence}")
