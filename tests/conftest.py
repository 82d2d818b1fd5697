"""What holds for every test: threads, random examples, and how tests are spread over processes.

Random examples are the same in every run (the profile `ci`), so that a change is never failed by a
draw of the lot. `scripts/explore.sh` loads the profile `explore` instead, which looks for new ones.
"""

from __future__ import annotations

import os
from typing import Any

# Before NumPy is imported. Its threads wait for work by spinning, which takes several times the
# processor's time of the work itself where two test processes share two cores.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# No deadline: a busy machine is no failure, and speed is measured in benchmarks/.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("GLOCAL_HYPOTHESIS_PROFILE", "ci"))

EXPLORED = int(os.environ.get("GLOCAL_EXPLORED_EXAMPLES", "0"))
"""How many times the examples that each test asks for; set by `scripts/explore.sh`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Draw many more examples where tests with random examples are explored."""
    for item in items:
        function = getattr(item, "obj", None)
        asked = getattr(function, "_hypothesis_internal_use_settings", None)
        if EXPLORED and asked is not None:
            # A test keeps its own settings, and hypothesis refuses to decorate it a second time.
            function._hypothesis_internal_use_settings = settings(
                asked, max_examples=asked.max_examples * EXPLORED
            )
