"""Small files of every format with random injuries, and what loading them must and must not do."""

from __future__ import annotations

import struct
import time
import zlib
from importlib.util import find_spec

import numpy as np
from image_samples import DATA, FORMATS, encode, exif_of, pattern, sample
from PIL import Image

from glocal.errors import GlocalError
from glocal.images import Limits, LoadedImage, load

SMALL = Limits(max_bytes=2**20, max_pixels=1_000_000)
MUTATED = (*FORMATS, "JPEG2000", *(("JXL",) if find_spec("pylibjxl") else ()))
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def fuzz_bases() -> dict[str, list[bytes]]:
    """Small files of every format, several ways each, with EXIF where there can be any."""
    image = Image.fromarray(pattern(48, 40))
    exif = exif_of(6)
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (4.0, 5.0, 6.0)})
    red = Image.new("RGB", (48, 40), "red")
    several = {"save_all": True, "append_images": [red]}
    bases = {
        "JPEG": [
            encode(image, "JPEG", exif=exif),
            encode(image, "JPEG", progressive=True),
            encode(image.convert("CMYK"), "JPEG"),
            encode(image, "MPO", **several),
        ],
        "PNG": [
            encode(image, "PNG", exif=exif),
            encode(image.convert("P"), "PNG", transparency=3),
            encode(image, "PNG", **several),
            encode(np.zeros((20, 20), np.uint16), "PNG"),
        ],
        "WEBP": [
            encode(image, "WEBP", exif=exif),
            encode(image.convert("RGBA"), "WEBP", lossless=True),
            encode(image, "WEBP", **several),
        ],
        "AVIF": [encode(image, "AVIF", exif=exif), encode(image, "AVIF", **several)],
        "GIF": [encode(image, "GIF"), encode(image, "GIF", **several)],
        "TIFF": [
            encode(image, "TIFF", exif=exif),
            encode(image, "TIFF", compression="tiff_lzw"),
            encode(image, "TIFF", compression="jpeg"),
            encode(image.convert("1"), "TIFF", compression="group4"),
            encode(image, "TIFF", big_tiff=True, compression="tiff_adobe_deflate"),
        ],
        "BMP": [encode(image, "BMP"), encode(image.convert("P"), "BMP")],
        "PPM": [
            encode(image, "PPM"),
            b"P3 2 2 255\n1 2 3 4 5 6 7 8 9 10 11 12\n",
            b"P1 2 1\n1 0\n",
        ],
        "HEIF": [
            sample("HEIF"),
            *(path.read_bytes() for path in sorted(DATA.glob("o*.heic"))),
        ],
        "JPEG2000": [
            encode(image, "JPEG2000"),
            encode(image.convert("L"), "JPEG2000", irreversible=True),
            encode(image, "JPEG2000", no_jp2=True),
            encode(image.convert("RGBA"), "JPEG2000"),
        ],
    }
    if find_spec("pylibjxl"):
        import pylibjxl

        bases["JXL"] = [
            pylibjxl.encode(pattern(48, 40)),
            pylibjxl.encode(pattern(48, 40), lossless=True),
            pylibjxl.jpeg_to_jxl(encode(image, "JPEG", exif=exif)),
        ]
    return bases


def mutated(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Random injuries: mostly a single one, since several rarely get past the header."""
    result = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        size = len(result)
        if size < 8:
            break
        # Half of the injuries go where headers are.
        reach = min(size, 400) if rng.random() < 0.5 else size
        at = int(rng.integers(0, reach))
        length = int(rng.integers(1, 1 + min(64, size)))
        match int(rng.integers(0, 8)):
            case 0:
                result[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                result[at] = int(rng.integers(0, 256))
            case 2:
                width = int(rng.choice([1, 2, 4]))
                order = "big" if rng.random() < 0.5 else "little"
                value = int(rng.choice(EXTREMES)) % 256**width
                result[at : at + width] = value.to_bytes(width, order)
            case 3:
                del result[max(8, at) :]
            case 4:
                del result[at : at + length]
            case 5:
                other = others[int(rng.integers(0, len(others)))]
                start = int(rng.integers(0, len(other)))
                result[at : at + length] = other[start : start + length]
            case 6:
                start = int(rng.integers(0, size))
                result[at:at] = result[start : start + length]
            case _:
                result[at : at + length] = rng.bytes(length)
    # A PNG whose checksums are wrong is refused before anything of it is read.
    return with_checksums(bytes(result)) if rng.random() < 0.7 else bytes(result)


def with_checksums(data: bytes) -> bytes:
    """Make the checksum of every chunk right again, if this is a PNG."""
    if not data.startswith(b"\x89PNG"):
        return data
    result, at = bytearray(data), 8
    while at + 12 <= len(result):
        end = at + 8 + int.from_bytes(result[at : at + 4], "big")
        if end + 4 > len(result):
            break
        result[end : end + 4] = struct.pack(">I", zlib.crc32(result[at + 4 : end]))
        at = end + 4
    return bytes(result)


def fuzz(format_name: str, count: int, seed: int) -> dict[str, int]:
    """Load ``count`` mutations; return how many were images and how many were refused."""
    bases = fuzz_bases()
    others = [data for datas in bases.values() for data in datas]
    rng = np.random.default_rng([seed, MUTATED.index(format_name)])
    outcome = {"images": 0, "refused": 0}
    for number in range(count):
        data = mutated(bases[format_name][number % len(bases[format_name])], others, rng)
        min_side = [None, 1, 10][number % 3]
        began = time.process_time()
        try:
            image = load(data, min_side=min_side, limits=SMALL)
        except GlocalError as error:
            outcome["refused"] += 1
            said = str(error)
            assert 0 < len(said) < 200, said
            assert "object at" not in said, said
        else:
            outcome["images"] += 1
            assert isinstance(image, LoadedImage)
            assert image.array.dtype == np.uint8
            assert image.array.ndim == 3
            assert image.array.shape[2] == 3
            assert min(image.array.shape) >= 1
            full = (image.facts.height, image.facts.width)
            assert image.array.shape[0] <= full[0]
            assert image.array.shape[1] <= full[1]
            least = min(*full) if min_side is None else min(min_side, *full)
            assert min(image.array.shape[:2]) >= least
        assert time.process_time() - began < 20, f"number {number} took too long"
    return outcome
