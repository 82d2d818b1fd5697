"""How much memory decoding takes at its peak, for each pixel, by format; see `images/memory.py`.

Each image is decoded in a process of its own, as an index run does it, and the peak of its memory
is compared with that before. The encoded file, which is held too, is not counted.

    python benchmarks/decoding_memory.py
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 4000, 3000

KINDS = {
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
    "JPEG, CMYK": ("JPEG", "CMYK", {}),
    "JPEG, progressive": ("JPEG", "RGB", {"progressive": True}),
    "JPEG 2000": ("JPEG2000", "RGB", {}),
}


def pixels() -> np.ndarray:
    """A smooth image of four channels, quick to encode."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x % 256, y % 256, (x + y) % 256, x * 3 % 256], axis=2).astype(np.uint8)


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


def png_of_16_bits() -> bytes:
    """A transparent PNG of 16 bits, which Pillow does not write."""
    row = b"\0" + (np.arange(WIDTH * 4) % 60_000).astype(">u2").tobytes()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * HEIGHT, 1)),
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


def main() -> None:
    """Measure every kind, each in a process of its own."""
    array = pixels()
    print("| image | bytes per pixel |\n| --- | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        for kind in (*KINDS, "PNG, transparent, 16 bits", "JPEG XL"):
            if kind == "JPEG XL":
                import pylibjxl

                data = pylibjxl.encode(np.ascontiguousarray(array[:, :, :3]), effort=1)
            else:
                data = encoded(array, kind) if kind in KINDS else png_of_16_bits()
            path.write_bytes(data)
            done = subprocess.run(
                [sys.executable, __file__, str(path)], capture_output=True, text=True, check=True
            )
            print(f"| {kind} | {int(done.stdout) / WIDTH / HEIGHT:.1f} |", flush=True)


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
