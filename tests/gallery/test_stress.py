"""The stress of the store, short; ``benchmarks/store_stress.py`` runs for as long as one likes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "store_stress.py"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_readers_writers_and_a_builder_agree_while_they_are_killed() -> None:
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--seconds", "10", "--kills", "40"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    found = json.loads(run.stdout)
    assert found["faults"] == []
    assert found["kills"] >= 40
    assert found["batches"] > 10
    assert found["searches"] > 10
