"""Without extras, nothing that an extra brings is imported before it is needed.

The tests' own environment has every extra, so here all other packages are hidden.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

RUN = """
import pkgutil, sys
from importlib import import_module

hidden = set(sys.argv[1].split(","))

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"{name} is hidden", name=name.partition(".")[0])

sys.meta_path.insert(0, Hidden())
import glocal.cli
for module in pkgutil.iter_modules(glocal.cli.__path__):
    import_module(f"glocal.cli.{module.name}")
photos, query = sys.argv[2:]
for arguments in (
    ["index", photos],
    ["search", query],
    ["search", "--sketch", query],
    ["search", query, "--region", "0,0,0.5,1", "--region", "0.5,0,0.5,1"],
    ["search", "--text", "one"],
    ["duplicates"],
    ["info"],
    ["check"],
):
    sys.argv = ["glocal", *arguments]
    try:
        glocal.cli.main()
    except SystemExit as ended:
        assert not ended.code, (arguments, ended.code)
"""


def base() -> set[str]:
    """Names of the distributions that come with glocal, without extras."""
    found, waiting = set[str](), ["glocal"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            needed = [Requirement(each) for each in requires(name) or ()]
        except PackageNotFoundError:
            continue  # needed on another platform
        found.add(name)
        waiting += [r.name for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


@pytest.mark.filterwarnings("ignore")
def test_every_command_starts_and_searches_work_without_what_extras_bring(tmp_path: Path) -> None:
    kept = base()
    hidden = [
        module
        for module, names in packages_distributions().items()
        if not kept & {canonicalize_name(name) for name in names}
    ]
    assert {"cv2", "sklearn", "torch"} & set(hidden)
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in ("one", "two"):
        pixels = np.kron(random.integers(0, 256, (6, 8, 3)), np.ones((20, 20, 1)))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    done = subprocess.run(
        [sys.executable, "-c", RUN, ",".join(hidden), tmp_path / "photos",
         tmp_path / "photos" / "one.png"],
        env={**os.environ, "GLOCAL_GALLERY": str(tmp_path / "gallery")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
