"""Fit the bridge that comes with a new version of the default model: from the one before.

    python scripts/default_model/fit_bridge.py OLD.onnx NEW.onnx IMAGES GROCERY NEW.bridge

IMAGES and GROCERY are as in `pack.py`; only training images are used. An image is encoded by both
models at the size at which a gallery would decode it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pack import wanted

from glocal import __version__
from glocal.encoders import OnnxEncoder
from glocal.encoders.hashes import file_sha256
from glocal.encoders.spaces import space_of
from glocal.images import load
from glocal.upgrade.bridge_file import save_bridge
from glocal.upgrade.fitting import fit_bridge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("bridge", type=Path)
    parser.add_argument("--anchors", type=int, default=6000)
    options = parser.parse_args()
    old, new = OnnxEncoder(options.old), OnnxEncoder(options.new)
    rows = wanted(options.images, options.grocery)
    order = np.random.default_rng(0).permutation(len(rows))
    # Half of them photos and products, which are most like what galleries hold.
    likely = [i for i in order if rows[i][1] in ("photo", "product")]
    others = [i for i in order if rows[i][1] not in ("photo", "product")]
    chosen = [*likely[: options.anchors // 2], *others[: options.anchors // 2]]
    before, after = [], []
    for number in chosen:
        image = load(rows[number][0], min_side=320).array
        before.append(old.encode([image])[0].vector)
        after.append(new.encode([image])[0].vector)
    fitted = fit_bridge(np.stack(before), np.stack(after))
    measured = asdict(fitted.measured)
    save_bridge(
        options.bridge,
        fitted.bridge,
        old_space=space_of(old.card, file_sha256(options.old)),
        new_space=new.space,
        anchors=fitted.anchors,
        glocal_version=__version__,
        measured={name: float(figure) for name, figure in measured.items()},
    )
    print(measured)


if __name__ == "__main__":
    main()
