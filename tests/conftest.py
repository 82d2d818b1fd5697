"""What holds for every test: threads, random examples, and how tests are spread over processes.

Random examples are the same in every run (the profile `ci`), so that a change is never failed by a
draw of the lot. `scripts/explore.sh` loads the profile `explore` instead, which looks for new ones.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from catalog_places import Places, PostgresPlaces, SqlitePlaces
from postgres_server import PostgresServer, needs_postgres

# Before any test imports NumPy. Its threads wait for work by spinning, which takes several times
# the processor time of the work itself where two test processes share two cores.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# The same features in every process and on every machine; `tests/encoders/test_twins_in_int8.py`
# and the benchmarks run what is faster.
os.environ.setdefault("GLOCAL_PRECISION", "float")

# Imports and collected tests are a million objects that stay. While they are made there is hardly
# any garbage, and afterwards no collection of garbage need look at them.
gc.disable()

# No deadline: a busy machine is no failure, and speed is measured in benchmarks/.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("GLOCAL_HYPOTHESIS_PROFILE", "ci"))

EXPLORED = int(os.environ.get("GLOCAL_EXPLORED_EXAMPLES", "0"))
"""How many times the examples that each test asks for; set by `scripts/explore.sh`."""


LONG = (
    "tests/web/page/",
    "tests/trials/test_smoke.py",
    "tests/gallery/test_duplicates.py",
    "tests/cli/test_train_command.py",
    "tests/gallery/test_killed_runs.py",
    "tests/cli/test_commands.py",
    "tests/learn/training/test_export_files.py",
    "tests/web/test_web_duplicates.py",
    "tests/learn/test_learn_model.py",
    "tests/web/test_index_runs.py",
    "tests/gallery/test_stores.py",
    "tests/gallery/test_concurrency.py",
    "tests/web/test_description.py",
    "tests/cli/test_duplicate_actions.py",
    "tests/test_third_party_parts.py",
    "tests/web/test_attacks.py",
    "tests/gallery/test_migration.py",
    "tests/learn/training/",
    "tests/retrieval/",
)
"""Files that take long, the longest first: several processes begin with these, in this order, so
that they end at the same time. The page's tests share servers and follow one another."""


def _place(item: pytest.Item) -> int:
    return next((at for at, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first in several processes; draw many more examples to explore."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)
    for item in items:
        function = getattr(item, "obj", None)
        asked = getattr(function, "_hypothesis_internal_use_settings", None)
        if EXPLORED and asked is not None:
            # A test keeps its own settings, and hypothesis refuses to decorate it a second time.
            function._hypothesis_internal_use_settings = settings(
                asked, max_examples=asked.max_examples * EXPLORED
            )


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but among what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file together, and all of the page, since they share servers."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "tests/web/page" if file.startswith("tests/web/page/") else file

    config.option.loadscopereorder = False  # by the number of tests, whatever they take
    return ByFile(config, log)


@pytest.fixture(scope="session")
def version_2() -> Path:
    """The model that came with glocal before version 3, whose galleries there still are."""
    return Path(__file__).parent / "upgrade" / "glocal-lite0-v2.onnx"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server; only tests that are marked `needs_postgres` may ask for it."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Where catalogues are made: in SQLite files, and in a PostgreSQL server."""
    folder = tmp_path_factory.mktemp("catalogs")
    if request.param == "sqlite":
        return SqlitePlaces(folder)
    return PostgresPlaces(folder, request.getfixturevalue("postgres"))
