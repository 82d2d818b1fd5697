"""Make a model that encodes an image at several scales, of the same weights.

    python scripts/default_model/multiscale.py MODEL.onnx OUT.onnx --name NAME [--scales 1 .7]

Only the card changes: its ``areas`` say at which sizes an image is encoded, and the vector is the
mean (Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", 2019,
average vectors of three sizes likewise). These vectors are a space of their own. A twin in int8 is
shared: the card names the file that it was made of.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx import read_card
from glocal.errors import ModelError
from glocal.learn.delivery import replace_card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 0.7])
    options = parser.parse_args()
    card = read_card(options.model)
    if card is None:
        raise ModelError(f"{options.model} has no card")
    size = {key: value for key, value in card.everything["input"].items() if key != "area"}
    areas = [round(card.area * scale**2) for scale in options.scales]
    changed = card.everything | {
        "name": options.name,
        "version": 1,
        "space": f"{options.name}-v1",
        "input": {"areas": areas, **size},
        "sources": [f"{card.name} version {card.version}"],
        "same_network_as": file_sha256(options.model),
    }
    options.out.write_bytes(options.model.read_bytes())
    replace_card(options.out, changed)
    print(json.dumps(changed["input"]), options.out)


if __name__ == "__main__":
    main()
