"""How much memory decoding takes at its peak, for each pixel, by format; see `images/memory.py`.

Each image is decoded in a process of its own, as an index run does it, and the peak of its memory
is compared with that before. The encoded file, which is held too, is not counted.

    python benchmarks/decoding_memory.py

With ``--index`` it indexes an image of 108 megapixels instead, in each format in which these occur,
and prints the peak memory of the whole command, or why the image was refused.
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measure import arguments, glocal_command, run_process

SIZE = (4000, 3000)
LARGE = (12_000, 9_000)

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "PNG, RGB": ("PNG", "RGB", {}),
    "PNG, transparent": ("PNG", "RGBA", {}),
    "WebP, lossy": ("WEBP", "RGB", {"quality": 30, "method": 0}),
    "WebP, lossless and transparent": ("WEBP", "RGBA", {"lossless": True, "quality": 0}),
    "AVIF": ("AVIF", "RGB", {"speed": 10, "quality": 30}),
    "GIF": ("GIF", "P", {}),
    "BMP": ("BMP", "RGB", {}),
    "TIFF, 16 bits": ("TIFF", "I;16", {}),
    "TIFF, 32 bits": ("TIFF", "I", {}),
    "TIFF, float": ("TIFF", "F", {}),
    "TIFF, transparent": ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    "JPEG": ("JPEG", "RGB", {}),
    "JPEG, CMYK": ("JPEG", "CMYK", {}),
    "JPEG, progressive": ("JPEG", "RGB", {"progressive": True}),
    "JPEG 2000": ("JPEG2000", "RGB", {}),
}

TRANSPARENT_16 = "PNG, transparent, 16 bits"
OCCUR_LARGE = (
    "JPEG",
    "JPEG, progressive",
    "PNG, RGB",
    "PNG, transparent",
    TRANSPARENT_16,
    "WebP, lossy",
    "AVIF",
    "TIFF, 16 bits",
)


def pixels(size: tuple[int, int]) -> np.ndarray:
    """A smooth image of four channels, quick to encode."""
    x = np.arange(size[0], dtype=np.uint16)[None, :]
    y = np.arange(size[1], dtype=np.uint16)[:, None]
    made = np.empty((size[1], size[0], 4), np.uint8)
    for channel, values in enumerate((x + 0 * y, y + 0 * x, x + y, x * 3 + 0 * y)):
        made[:, :, channel] = values % 256
    return made


def encoded(array: np.ndarray, kind: str) -> bytes:
    """The image in a format and mode."""
    name, mode, options = KINDS[kind]
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray(array[:, :, 0].astype(dtype))
    elif mode in ("RGBA", "CMYK"):
        image = Image.fromarray(array, mode)
    else:
        image = Image.fromarray(array[:, :, :3]).convert(mode)
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def png_of_16_bits(size: tuple[int, int]) -> bytes:
    """A transparent PNG of 16 bits, which Pillow does not write."""
    row = b"\0" + (np.arange(size[0] * 4) // 64 * 64 % 60_000).astype(">u2").tobytes()
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(size[1])) + packer.flush()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *size, 16, 6, 0, 0, 0)),
        (b"IDAT", data),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(path: str) -> None:
    """Decode one image and print what that took."""
    from glocal.images import load

    load(np.zeros((8, 8, 3), np.uint8))
    before = peak()
    load(path, min_pixels=102_400)
    print(peak() - before - Path(path).stat().st_size)


def made(kind: str, array: np.ndarray) -> bytes:
    """An image of a kind, encoded."""
    if kind == TRANSPARENT_16:
        return png_of_16_bits((array.shape[1], array.shape[0]))
    if kind == "JPEG XL":
        import pylibjxl

        return bytes(pylibjxl.encode(np.ascontiguousarray(array[:, :, :3]), effort=1))
    return encoded(array, kind)


def decoding(folder: Path) -> None:
    """Decode every kind, each in a process of its own."""
    array = pixels(SIZE)
    print("| image | bytes per pixel |\n| --- | ---: |")
    for kind in (*KINDS, TRANSPARENT_16, "JPEG XL"):
        path = folder / "image"
        path.write_bytes(made(kind, array))
        ended = run_process([sys.executable, __file__, "--measure", path])
        print(f"| {kind} | {int(ended.output) / SIZE[0] / SIZE[1]:.1f} |", flush=True)


def indexing(folder: Path) -> None:
    """Index a large image of every kind; the first line is a small one, for comparison."""
    print("| image | file, MB | peak, MB | |\n| --- | ---: | ---: | --- |")
    small = pixels(SIZE)
    large = pixels(LARGE)
    for number, (kind, array) in enumerate([("JPEG", small), *((k, large) for k in OCCUR_LARGE)]):
        images, gallery = folder / f"images-{number}", folder / f"gallery-{number}"
        images.mkdir()
        name, _, _ = KINDS.get(kind, ("PNG", "", {}))
        path = images / f"image.{ {'JPEG': 'jpg', 'TIFF': 'tif'}.get(name, name.lower()) }"
        path.write_bytes(made(kind, array))
        size = path.stat().st_size
        ended = run_process([*glocal_command(), "index", images, "--gallery", gallery])
        said = next((x for x in ended.errors.splitlines() if "limit is" in x), "")
        height, width, _ = array.shape
        print(
            f"| {kind}, {width * height / 1e6:.0f} megapixels | {size / 1e6:.1f} "
            f"| {ended.peak_bytes / 1e6:.0f} | {said.strip()} |",
            flush=True,
        )
        path.unlink()


def main() -> None:
    """Measure, or do what is measured."""
    parser = arguments(__doc__)
    parser.add_argument("--index", action="store_true", help="whole index runs of 108 megapixels")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        (indexing if given.index else decoding)(Path(folder))


if __name__ == "__main__":
    main()
