"""How well and how fast photos are found by words.

::

    python benchmarks/words.py GROCERY [--photos 95] [--images 10000] [-o FILE.json]

``GROCERY`` is the folder with ``packages_sku.json`` and ``dataset/`` (photos of packaged goods, and
the name of each). The photos get names that say nothing, so that only what stands on the packages
can tell them. Each product is searched for by the first two words of its name. Then made words of
many images are indexed and searched. Times are of the processor.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from uuid import UUID

from glocal.encoders.written_words import PIXELS, READER, WordReader
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.describing import content_id
from glocal.gallery.texts import TextKind, Texts
from glocal.gallery.word_forms import read_words
from glocal.gallery.words import Words
from glocal.images import load


def put(
    catalog: Catalog, name: str, folder: str, content: UUID, texts: dict[TextKind, str]
) -> None:
    """An image as an index run writes it; inside a change."""
    number = catalog.folder(Path("/photos") / folder)
    catalog.put_contents([Content(content, 1, 1, 1, None, None, None, None)], [])
    catalog.put_files([(number, FileState(name.encode(), 1, 1, content))])
    for kind, text in texts.items():
        Texts(catalog).put(kind, [(content, text)])


def chosen(folder: Path, count: int) -> list[tuple[Path, str]]:
    """So many photos of the test split, of every product in turn, with the product's name."""
    by_sku: dict[str, list[str]] = {}
    for photo in json.loads((folder / "packages_sku.json").read_text())["photos"]:
        if photo["split"] == "test":
            by_sku.setdefault(photo["sku"], []).append(photo["path"])
    turns = zip_longest(*([(path, sku) for path in sorted(by_sku[sku])] for sku in sorted(by_sku)))
    every = (each for turn in turns for each in turn if each)
    return [(folder / "dataset" / path, sku.split("/")[-1]) for path, sku in islice(every, count)]


def recall(photos: list[tuple[Path, str]], read: dict[Path, str] | None) -> dict[str, float]:
    """How many photos of a product its name finds, and how many of those found are of it."""
    shares, right, found_all, first = [], 0, 0, []
    with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder) / "c.sqlite")) as c:
        of: dict[UUID, str] = {}
        with c.change():
            for number, (path, sku) in enumerate(photos):
                content = content_id(str(path).encode())
                texts: dict[TextKind, str] = {} if read is None else {"image": read[path]}
                put(c, f"{number:05d}.jpg", "all", content, texts)
                of[content] = sku
        with Words(c) as words:
            for sku in sorted(set(of.values())):
                query = read_words(" ".join(sku.split("-")[:2]))
                found = [of[i] for i, _ in words.find(query, len(photos))]
                relevant = sum(other == sku for other in of.values())
                hits = sum(other == sku for other in found)
                shares.append(hits / relevant)
                first.append(sum(o == sku for o in found[:relevant]) / relevant)
                right, found_all = right + hits, found_all + len(found)
    return {
        "recall": sum(shares) / len(shares),
        "recall_at_r": sum(first) / len(first),
        "precision": right / found_all if found_all else 0.0,
    }


def speed(count: int) -> dict[str, float]:
    """Index and search made words of so many images."""
    rng = random.Random(0)
    letters = "abcdefghijklmnoprstuvw"
    made = ["".join(rng.choices(letters, k=rng.randint(3, 12))) for _ in range(20_000)]

    def some(count: int) -> str:
        return " ".join(rng.choices(made, k=count))

    with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder) / "c.sqlite")) as c:
        with c.change():
            for number in range(count):
                texts: dict[TextKind, str] = {
                    "caption": some(8) if number % 3 == 0 else "",
                    "image": some(20),
                }
                name = f"IMG_{number:05d} {some(2)}.jpg"
                put(c, name, some(1) + str(number % 50), content_id(name.encode()), texts)
        with Words(c) as words:
            result = {"index_seconds": timed(words.catch_up)}
            result["megabytes"] = (Path(folder) / "words.sqlite").stat().st_size / 1e6
            queries: dict[str, Callable[[], str]] = {
                "one_word": lambda: rng.choice(made),
                "two_words": lambda: some(2),
                "beginning": lambda: rng.choice(made)[:3],
                "mistyped": lambda: mistyped(rng, rng.choice(made)),
            }
            for kind, make in queries.items():
                times = []
                for _ in range(100):
                    query = read_words(make())
                    times.append(timed(partial(words.find, query, 60)) * 1000)
                times.sort()
                result[f"{kind}_ms_median"], result[f"{kind}_ms_p95"] = times[50], times[95]
    return result


def mistyped(rng: random.Random, word: str) -> str:
    at = rng.randrange(len(word))
    return word[:at] + "x" + word[at + 1 :]


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("grocery", type=Path)
    parser.add_argument("--photos", type=int, default=95)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    result: dict[str, object] = {"made": speed(options.images) | {"images": options.images}}
    print(json.dumps(result["made"], indent=2), flush=True)
    photos = chosen(options.grocery, options.photos)
    reader = WordReader()
    reader.read(load(photos[0][0], min_pixels=PIXELS).array)  # opens the models
    began = time.process_time()
    read = {path: reader.read(load(path, min_pixels=PIXELS).array) for path, _ in photos}
    result["ocr"] = {
        "reader": READER,
        "photos": len(photos),
        "products": len({sku for _, sku in photos}),
        "seconds_an_image": (time.process_time() - began) / len(photos),
        "with_any_word": sum(bool(text) for text in read.values()) / len(photos),
    }
    result["names_alone"], result["names_and_ocr"] = recall(photos, None), recall(photos, read)
    print(json.dumps({k: v for k, v in result.items() if k != "made"}, indent=2))
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
