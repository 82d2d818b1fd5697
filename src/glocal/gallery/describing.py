"""From the bytes of an image file to all that a gallery keeps of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from uuid import UUID

import numpy as np

from glocal.encoders import Detector, Encoder, Features, RegionSettings
from glocal.encoders.long_images import cut_out, part_boxes
from glocal.errors import ImageError
from glocal.gallery.catalog import Content
from glocal.gallery.small_images import shrink, to_jpeg
from glocal.images import Facts, Limits, LoadedImage, load, read_bytes
from glocal.images.captions import read_caption
from glocal.images.url_paths import UrlPath
from glocal.images.xmp import read_xmp

_SIDECAR = Limits(max_bytes=2**20)
_EPOCH_DAY = 719_163  # 1970-01-01 as a proleptic ordinal


def content_id(data: bytes) -> UUID:
    """Name an image by its file's content: 128 bits of SHA-256, which processors are built for."""
    return UUID(bytes=hashlib.sha256(data).digest()[:16])


def unchanged(paths: Iterable[Path], content: UUID, limits: Limits) -> Iterator[tuple[Path, bytes]]:
    """The files that still have an image's bytes, with these; each is read when it is reached."""
    for path in paths:
        try:
            data = read_bytes(path, limits)
        except ImageError:
            continue
        if content_id(data) == content:
            yield path, data


@dataclass(frozen=True, slots=True)
class Description:
    """What a gallery keeps of an image.

    Attributes:
        content: what its file says of itself.
        features: its vector and local features.
        small: the image, small and grey, as JPEG.
        share: of the image's rows, the share that its file still has; 1 unless it was cut off.
        caption: what its file and a sidecar say of it in words.
        encoded: whether the image was encoded here; otherwise its vector alone is known, and the
            rest is added when it is (`Gallery.add_local_features`, `Gallery.add_regions`).
    """

    content: Content
    features: Features
    small: bytes
    share: float = 1.0
    caption: str = ""
    encoded: bool = True


@dataclass(frozen=True, slots=True)
class Describer:
    """Describes images; any thread may call.

    Args:
        encoder: makes the vector.
        detector: finds the local features, or `None` where the encoder does.
        limits: of what is read.
        regions: which regions get a vector; `None` for none.
    """

    encoder: Encoder
    detector: Detector | None
    limits: Limits
    regions: RegionSettings | None = None

    def describe(self, data: bytes, name: Path) -> Description:
        """Decode the content of a file and make its features.

        Raises:
            ImageError: it is no image that can be used.
        """
        largest = max(1.0, self.regions.scale if self.regions else 0.0) ** 2
        least = max(
            round(self.encoder.card.area * largest), self.detector.area if self.detector else 0
        )
        image = load(data, min_pixels=least, limits=self.limits, name=name)
        features = self.encoder.encode([image.array], regions=self.regions)[0]
        if self.detector is not None:
            found = self.detector.detect(image.array)
            features = replace(
                features,
                keypoints=found.keypoints,
                descriptors=found.descriptors,
                scores=found.scores,
            )
        if self.regions is not None:
            features = self._with_parts(features, data, image, name, self.regions)
        content = as_content(content_id(data), with_sidecar(image.facts, name))
        small, caption = to_jpeg(shrink(image.array)), read_caption(data, name)
        return Description(content, features, small, image.share, caption)

    def _with_parts(
        self,
        features: Features,
        data: bytes,
        image: LoadedImage,
        name: Path,
        regions: RegionSettings,
    ) -> Features:
        """The features of a long image: its parts stand in place of the last of its regions."""
        facts = image.facts
        boxes = part_boxes(facts.width, facts.height, regions.count)
        if not len(boxes):
            return features
        least = ceil(self.encoder.card.area / float(boxes[0, 2] * boxes[0, 3]))
        height, width = image.array.shape[:2]
        if width * height < min(least, facts.width * facts.height):
            image = load(data, min_pixels=least, limits=self.limits, name=name)
        parts = self.encoder.encode([cut_out(image.array, box) for box in boxes])
        rest = slice(0, regions.count - len(boxes))
        return replace(
            features,
            regions=np.concatenate([[part.vector for part in parts], features.regions[rest]]),
            boxes=np.concatenate([boxes, features.boxes[rest]]),
        )


def with_sidecar(facts: Facts, path: Path) -> Facts:
    """Facts with what they lack of date and place, from a file of XMP beside the image."""
    if isinstance(path, UrlPath):  # two more requests for each image, most of them in vain
        return facts
    if facts.taken is not None and facts.latitude is not None:
        return facts
    for beside in (path.with_suffix(".xmp"), path.with_name(path.name + ".xmp")):
        try:
            said = read_xmp(read_bytes(beside, _SIDECAR))
        except (ImageError, ValueError):
            continue
        if facts.taken is None:
            facts = replace(facts, taken=said.taken)
        if facts.latitude is None:
            facts = replace(facts, latitude=said.latitude, longitude=said.longitude)
    return facts


def as_content(content: UUID, facts: Facts) -> Content:
    """What the catalogue keeps of an image with such facts."""
    taken = None
    if facts.taken is not None:
        days = facts.taken.toordinal() - _EPOCH_DAY
        clock = facts.taken.time()
        taken = days * 86_400 + clock.hour * 3600 + clock.minute * 60 + clock.second
    return Content(
        content,
        facts.width,
        facts.height,
        facts.bytes or 0,
        taken,
        facts.camera,
        facts.latitude,
        facts.longitude,
    )
