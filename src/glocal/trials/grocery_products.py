"""The product images of Grocery: each of its 81 products once, on white."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import MethodError
from glocal.trials import data


@cache
def product_images() -> tuple[NDArray[np.uint8], ...]:
    """Images ``(h, w, 3)`` in the order of the classes.

    Raises:
        MethodError: ``GLOCAL_GROCERY`` names no folder that has them.
    """
    from PIL import Image

    folder = Path(os.environ.get(data.GROCERY, ""))
    found = []
    try:
        with (folder / "classes.csv").open(encoding="utf-8") as file:
            paths = [row["Iconic Image Path (str)"].strip("/") for row in csv.DictReader(file)]
        for path in paths:
            with Image.open(folder / path) as opened:
                found.append(np.asarray(opened.convert("RGB")))
    except OSError as error:
        raise MethodError(
            f"this trial needs Grocery's product images, and {data.GROCERY} is {str(folder)!r}; "
            f"set it to the folder that has classes.csv ({error})"
        ) from error
    return tuple(found)
