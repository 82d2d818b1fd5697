"""An upgrade of real photos, killed again and again, ends equal to one that ran through.

    python benchmarks/upgrade_kills.py --images FOLDER --old OLD.onnx --work DIR
        [--count 20000] [--kills 20] [--compare]

Indexes photos with the old model, and copies the gallery. One is upgraded to the bundled model
without a stop; the upgrade of the other is killed by SIGKILL, first while it measures, and then in
each of as many equal parts of the migration as there are kills: at a random number of images that
its catalogue has committed, and a random moment of the next batch. After each kill a photo is
searched for. In the end ids, vectors and local features have to be equal, and the check sound;
``--compare`` does only that, with the galleries of a run before.

Where the folder has fewer photos than are wanted, altered ones are made of them: random crops of
other brightness. DIR/photos has all that are indexed, and is kept for the next run.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from glocal.gallery import Gallery
from measure import arguments, write_results

GLOCAL = [sys.executable, "-c", "from glocal.cli import main; main()"]
NEW_SPACE = "glocal-lite0-v4"
SIDE = 800  # of altered photos
NEXT_BATCH = 2.0  # seconds, in which the next batch is written at the latest


def gather(source: Path, folder: Path, count: int) -> list[Path]:
    """So many photos in a folder: links to those of the source, and altered ones beyond."""
    folder.mkdir(parents=True, exist_ok=True)
    real = sorted(p for p in source.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    random.Random(0).shuffle(real)
    for number, path in enumerate(real[:count]):
        link = folder / f"{number:05}{path.suffix.lower()}"
        if not link.exists():
            link.symlink_to(path.resolve())
    for number, path in zip(range(len(real), count), cycle(real), strict=False):
        made = folder / f"{number:05}.jpg"
        if not made.exists():
            altered(path, random.Random(number)).save(made, quality=88)
    return sorted(folder.iterdir())


def altered(path: Path, draw: random.Random) -> Image.Image:
    """A random crop of a photo, lighter or darker."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((SIDE, SIDE))
    width, height = (round(side * draw.uniform(0.5, 0.95)) for side in image.size)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    cut = image.crop((left, top, left + width, top + height))
    return ImageEnhance.Brightness(cut).enhance(draw.uniform(0.7, 1.3))


def state(folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """Vector and packed local features of every image."""
    with Gallery(folder, create=False) as gallery:
        if not gallery.check(sample=None).sound:
            raise SystemExit(f"{folder} is not sound: {gallery.check().faults()}")
        ids = sorted(gallery._catalog.content_ids())
        vectors = gallery._context.store.vectors(ids)
        local = gallery._catalog.local_features(ids)
        return {i.hex: (np.float16(vectors[i]).tobytes(), local.get(i, b"")) for i in ids}


def upgrade(folder: Path, anchors: int) -> list[str]:
    """The command that begins or continues the upgrade."""
    with Gallery(folder, create=False) as gallery:
        under_way = gallery.upgrade().progress() is not None
    more = [] if under_way else ["--model", "glocal-lite0", "--anchors", str(anchors)]
    return [*GLOCAL, "upgrade", "--yes", "--gallery", str(folder), *more]


def ended(folder: Path) -> bool:
    """Whether a gallery is of the bundled model alone."""
    with Gallery(folder, create=False) as gallery:
        return gallery.upgrade().progress() is None and gallery.model.space == NEW_SPACE


def encoded(folder: Path) -> int:
    """How many images the new model has encoded, as any other process sees the catalogue."""
    catalog = f"file:{folder / 'catalog.sqlite'}?mode=ro"
    with closing(sqlite3.connect(catalog, uri=True, timeout=10)) as db:
        found = db.execute("SELECT COUNT(*) FROM rows WHERE space = ?", (NEW_SPACE,)).fetchone()
    return int(found[0])


def killed_at(folder: Path, anchors: int, target: int, wait: float) -> bool:
    """Run the upgrade until it has encoded so many images, wait, and kill it.

    Returns:
        Whether it was still running.
    """
    process = subprocess.Popen(upgrade(folder, anchors), stdout=subprocess.DEVNULL)
    while process.poll() is None and encoded(folder) < target:
        time.sleep(0.02)
    time.sleep(wait)
    if process.poll() is not None:
        return False
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return True


def require_found(folder: Path, query: Path) -> None:
    """Make sure that a photo is found."""
    with Gallery(folder, create=False) as gallery:
        found = gallery.search(query, limit=1).hits[0]
        if query.resolve() not in [path.resolve() for path in found.paths]:
            raise SystemExit(f"after a kill {query} is not found")


def processor_seconds() -> float:
    """Used so far by this process and by those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Kill, compare, print and keep."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--old", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--anchors", type=int, default=2_000)
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.count, options.kills, options.anchors = 120, 4, 60
    if options.compare:
        compare(options.work, json.loads((options.work / "kills.json").read_text()), quick=False)
        return
    photos = gather(options.images, options.work / "photos", options.count)[: options.count]
    whole, killed = options.work / "whole", options.work / "killed"
    spent = {}
    began = processor_seconds()
    with Gallery(whole, model=options.old) as gallery:
        gallery.add(*photos)
        images = gallery.info().images
    spent["index"], began = processor_seconds() - began, processor_seconds()
    shutil.copytree(whole, killed)
    subprocess.run(upgrade(whole, options.anchors), check=True)
    spent["upgrade without a stop"], began = processor_seconds() - began, processor_seconds()
    draw, stages = random.Random(0), list[int]()
    lowest = min(options.anchors, images)  # encoded by the beginning of the upgrade
    for kill in range(options.kills):
        part = (images - lowest) / max(options.kills - 1, 1)
        target = 0 if kill == 0 else round(lowest + part * (kill - 1 + draw.uniform(0, 0.8)))
        if not killed_at(killed, options.anchors, target, draw.uniform(0, NEXT_BATCH)):
            break  # it was quicker
        require_found(killed, photos[draw.randrange(len(photos))])
        stages.append(encoded(killed))
        print(f"killed at {stages[-1]} of {images}, from {target} on", flush=True)
    while not ended(killed):
        subprocess.run(upgrade(killed, options.anchors), check=True, stdout=subprocess.DEVNULL)
    spent["upgrade, killed, with a search after each kill"] = processor_seconds() - began
    figures = {
        "images": images,
        "kills": len(stages),
        "encoded at each kill": stages,
        "processor seconds": spent,
    }
    (options.work / "kills.json").write_text(json.dumps(figures))
    compare(options.work, figures, quick=options.quick)


def compare(work: Path, figures: dict[str, object], *, quick: bool) -> None:
    """Compare both galleries, print and keep."""
    one, other = state(work / "whole"), state(work / "killed")
    figures["equal"] = one == other
    print(figures)
    write_results("upgrade_kills", figures, quick=quick)
    if one != other:
        raise SystemExit("the galleries differ")


if __name__ == "__main__":
    main()
