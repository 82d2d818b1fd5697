"""Gather freely licensed images from Debian packages, to train and to evaluate models.

    python scripts/gather_training_images.py FOLDER [--packages LIST.csv] [--only NAME ...]

Runs on Debian and its relatives without special rights: nothing is installed. Each package of the
list (``training_packages.csv`` beside this file: package, licence of its images, use, limit, and
kind: photo, texture or drawing, as most of its images are) is downloaded, unpacked to a temporary
folder and searched for images, also inside the archives of games. Images that are neither blank
nor repeated are kept as JPEGs of at most 384 pixels.

FOLDER then holds ``train/PACKAGE/*.jpg`` and ``test/PACKAGE/*.jpg`` (held out, and gathered first,
so that nothing in it is trained on), ``manifest.csv`` (path, package, version, licence, sha256,
source, use) and ``copyright/PACKAGE.txt`` with the authors that each package names. A package that
is already in the manifest is not read again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 384
_KINDS = {".jpg", ".jpeg", ".png", ".webp", ".tga", ".bmp", ".pgm", ".ppm", ".dds"}
_ARCHIVES = {".pk3", ".pk4", ".zip", ".jar", ".sh3f"}
_CARVED = {".rcc", ".edj"}
# Light, relief and mask maps of textures: they show nothing.
_RELIEF = re.compile(
    r"(norm(al)?s?|_nm|_n|_local|bump|height|depth|gloss|spec(ular)?|_s|_h|glow|luma|mask|alpha"
    r"|_nrm|lightmap|reflect|font|cursor|crosshair|_ao|_emit|roughness|metal(ness)?_?map)\d*$",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"\b(CC-)?BY(-NC|-ND)|non-?commercial|no-?deriv", re.IGNORECASE)


LISTING = Path(__file__).with_name("training_packages.csv")


@dataclass(frozen=True)
class Package:
    name: str
    licence: str
    use: str
    limit: int
    kind: str


class KeptImages:
    """Remembers every kept image as a thumbnail of 12 x 12 grey pixels, to find repetitions."""

    def __init__(self) -> None:
        self._thumbnails = np.empty((1024, 144), np.float32)
        self._count = 0

    def is_new(self, image: Image.Image) -> bool:
        """Whether no similar image was kept; the image is then remembered, unless it is flat."""
        tiny = image.convert("L").resize((12, 12), Image.Resampling.BOX)
        thumbnail = np.asarray(tiny, np.float32).ravel()
        thumbnail -= thumbnail.mean()
        length = float(np.linalg.norm(thumbnail))
        if length < 12:
            # Flat patterns all have similar thumbnails; they differ in grain and colour.
            return self._grainy(image)
        thumbnail /= length
        known = self._thumbnails[: self._count]
        if self._count and float((known @ thumbnail).max()) > 0.97:
            return False
        if self._count == len(self._thumbnails):
            self._thumbnails = np.concatenate([self._thumbnails, np.empty_like(self._thumbnails)])
        self._thumbnails[self._count] = thumbnail
        self._count += 1
        return True

    @staticmethod
    def _grainy(image: Image.Image) -> bool:
        return float(np.asarray(image, np.float32).std(axis=(0, 1)).mean()) > 14


def images_in(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every image file below a folder, also inside archives, with its path there."""
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        name, kind = str(path.relative_to(root)), path.suffix.lower()
        if kind in _KINDS:
            yield name, path.read_bytes()
        elif kind in _ARCHIVES and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if Path(entry.filename).suffix.lower() in _KINDS and entry.file_size < 1 << 26:
                        yield f"{name}!{entry.filename}", archive.read(entry)
        elif kind in _CARVED:
            for number, data in enumerate(_carved(path.read_bytes())):
                yield f"{name}!{number}", data


def _carved(data: bytes) -> Iterator[bytes]:
    """Yield image files that are stored uncompressed inside another file."""
    start = 0
    found = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xe0\xe1\xdb]|RIFF....WEBP", re.DOTALL)
    while (match := found.search(data, start)) is not None:
        begin = match.start()
        if data.startswith(b"RIFF", begin):
            end = begin + 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")
        else:
            png = data[begin] == 0x89
            mark = b"IEND\xaeB\x60\x82" if png else b"\xff\xd9"
            at = data.find(mark, begin)
            end = at + len(mark) if at >= 0 else begin + 4
        yield data[begin:end]
        start = end


def fit_to_learn(data: bytes, name: str) -> Image.Image | None:
    """The image at 384 pixels or less; None if unreadable, tiny, blank or a relief map."""
    stem = Path(name.rpartition("!")[2]).stem
    if len(data) < 1500 or _RELIEF.search(stem):
        return None
    try:
        with Image.open(io.BytesIO(data)) as file:
            if max(file.size) < 96 or min(file.size) < 48 or max(file.size) > 12 * min(file.size):
                return None
            if file.width * file.height > 100_000_000:
                return None
            file.draft("RGB", (2 * SIDE, 2 * SIDE))
            image = _opaque(file, hashlib.sha256(data).digest())
    except (OSError, ValueError, SyntaxError, NotImplementedError, Image.DecompressionBombError):
        return None
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = np.asarray(image, np.float32)
    mean, spread = pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1))
    bluish = abs(mean[0] - 128) < 14 and abs(mean[1] - 128) < 14 and mean[2] > 200
    if bluish or spread.mean() < 7 or _one_coloured(pixels) > 0.93:
        return None
    return image


def _opaque(file: Image.Image, seed: bytes) -> Image.Image:
    """Convert to RGB, with a plain background that depends on the seed behind transparency."""
    if file.mode in {"RGBA", "LA", "PA"} or "transparency" in file.info:
        whole = file.convert("RGBA")
        box = whole.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
        whole = whole.crop(box) if box else whole
        shade = (255, 255, 255) if seed[0] < 128 else tuple(64 + value // 2 for value in seed[1:4])
        ground = Image.new("RGBA", whole.size, (*shade, 255))
        return Image.alpha_composite(ground, whole).convert("RGB")
    if file.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(file) >> 8).astype(np.uint8)).convert("RGB")
    return file.convert("RGB")


def _one_coloured(pixels: NDArray[np.float32]) -> float:
    """Share of the image that its most common colour covers."""
    coarse = (pixels[::2, ::2] // 16).astype(np.int64) @ np.array([256, 16, 1])
    return float(np.bincount(coarse.ravel()).max() / coarse.size)


def fetch(package: Package, debs: Path) -> Path:
    """Path of the package file, which is downloaded unless it exists."""
    if not (found := sorted(debs.glob(f"{package.name}_*.deb"))):
        subprocess.run(["apt-get", "download", package.name], cwd=debs, check=True)
        found = sorted(debs.glob(f"{package.name}_*.deb"))
    return found[-1]


def gather(package: Package, deb: Path, folder: Path, seen: KeptImages) -> list[dict[str, str]]:
    """Copy the images of a package into the folder; returns their rows of the manifest."""
    version = subprocess.run(
        ["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as room:
        subprocess.run(["dpkg", "-x", deb, room], check=True)
        _keep_copyright(Path(room), package, folder)
        kept = []
        for source, data in images_in(Path(room)):
            image = fit_to_learn(data, source)
            if image is not None and seen.is_new(image):
                kept.append((source, image))
        step = max(1.0, len(kept) / package.limit)
        for number in range(min(len(kept), package.limit)):
            source, image = kept[int(number * step)]
            file = io.BytesIO()
            image.save(file, "JPEG", quality=90)
            digest = hashlib.sha256(file.getvalue()).hexdigest()
            stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(source).stem)[-40:]
            path = Path(package.use, package.name, f"{stem}-{digest[:8]}.jpg")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(file.getvalue())
            rows.append(
                {
                    "path": str(path),
                    "package": package.name,
                    "version": version,
                    "licence": package.licence,
                    "sha256": digest,
                    "source": source,
                    "use": package.use,
                }
            )
    return rows


def _keep_copyright(room: Path, package: Package, folder: Path) -> None:
    (folder / "copyright").mkdir(exist_ok=True)
    for path in room.glob("usr/share/doc/*/copyright"):
        if path.is_file():
            (folder / "copyright" / f"{package.name}.txt").write_bytes(path.read_bytes())
            return


def packages(listing: Path) -> list[Package]:
    """Read the list of packages, those held out for evaluation first.

    Raises:
        SystemExit: a licence forbids training.
    """
    with listing.open(encoding="utf-8") as file:
        rows = [
            Package(row["package"], row["licence"], row["use"], int(row["limit"]), row["kind"])
            for row in csv.DictReader(file)
        ]
    for row in rows:
        if _FORBIDDEN.search(row.licence):
            raise SystemExit(f"{row.name}: {row.licence} does not allow training; leave it out")
    return sorted(rows, key=lambda row: row.use != "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, default=LISTING)
    parser.add_argument(
        "--debs", type=Path, help="folder of package files; missing ones are downloaded there"
    )
    parser.add_argument("--only", nargs="+", help="only these packages of the list")
    options = parser.parse_args()
    folder: Path = options.folder
    debs: Path = options.debs or folder / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    debs.mkdir(parents=True, exist_ok=True)
    manifest, seen, done = folder / "manifest.csv", KeptImages(), set()
    fields = ["path", "package", "version", "licence", "sha256", "source", "use"]
    if manifest.exists():
        with manifest.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                done.add(row["package"])
                with Image.open(folder / row["path"]) as image:
                    seen.is_new(image)
    else:
        manifest.write_text(",".join(fields) + "\n", encoding="utf-8")
    for package in packages(options.packages):
        if package.name in done or (options.only and package.name not in options.only):
            continue
        rows = gather(package, fetch(package, debs), folder, seen)
        with manifest.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, fields, lineterminator="\n").writerows(rows)
        print(f"{package.name}: {len(rows)} images", flush=True)


if __name__ == "__main__":
    main()
