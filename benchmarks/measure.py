"""What the benchmarks share: facts of the machine, processes measured from outside, results.

Nothing to run by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import glocal
from glocal.gallery.ahead import worker_count

RESULTS = Path(__file__).resolve().parent / "results"
_PACKAGES = ("numpy", "onnxruntime", "usearch", "simsimd", "pillow", "simplejpeg", "torch")

# A process that starts by `fork` or `vfork` begins with its parent's peak memory, so a benchmark
# that has held a gigabyte would find one in every child. This small process stands between.
_STARTER = """
import json, resource, subprocess, sys, time
command, folder = json.load(sys.stdin)
started = time.perf_counter()
ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=folder)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
said = [text.decode(errors="replace") for text in (ended.stdout, ended.stderr)]
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
json.dump([seconds, used.ru_utime + used.ru_stime, peak, ended.returncode, *said], sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that was run to its end.

    Attributes:
        seconds: from its start to its end.
        processor_seconds: used by it and by the processes it waited for.
        peak_bytes: of resident memory; of the largest one when it had processes of its own.
        output: what it printed.
        errors: what it printed to standard error.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int
    output: str
    errors: str


def run_process(
    command: Sequence[str | Path],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command to its end and measure it from outside; SystemExit when it fails."""
    told = json.dumps([[str(word) for word in command], None if folder is None else str(folder)])
    starter = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _STARTER],
        input=told,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    seconds, used, peak, status, output, errors = json.loads(starter.stdout)
    if status != 0:
        words = " ".join(str(word) for word in command)
        raise SystemExit(f"{words}\nended with status {status}:\n{output}{errors}")
    return Ended(seconds, used, peak, output, errors)


def environment_of(checkout: Path) -> dict[str, str]:
    """The environment in which Python imports glocal and the benchmarks of a checkout."""
    paths = os.pathsep.join([str(checkout / "src"), str(checkout / "benchmarks")])
    return os.environ | {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}


def glocal_command() -> list[str | Path]:
    """The command ``glocal`` of this environment, as a person starts it."""
    script = Path(sys.executable).parent / ("glocal.exe" if os.name == "nt" else "glocal")
    return [script] if script.exists() else [sys.executable, "-m", "glocal"]


def milliseconds(call: Callable[[], object]) -> float:
    """Run something once and return how long it took."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def median(values: Iterable[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def child_median(runs: Sequence[Ended]) -> float:
    """The middle of the seconds that processes took."""
    return median(run.seconds for run in runs)


def processor_median(runs: Sequence[Ended]) -> float:
    """The middle of the seconds of the processor that they used."""
    return median(run.processor_seconds for run in runs)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> dict[str, Any]:
    """Where and with what the numbers were measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": worker_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "glocal": glocal.__version__,
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
    }


def _cpu() -> str:
    """Model of the processor; virtual ones often hide theirs, then with family and model number."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    name = facts.get("model name", platform.processor())
    return f"{name} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def arguments(doc: str) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes; `doc` is the docstring of its file."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to see that it runs; proves nothing"
    )
    return parser


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table: the first column to the left, the others to the right."""
    print(f"\n{title}\n")
    print(f"| {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * (len(columns) - 1)}")
    for row in rows:
        print(f"| {' | '.join(_cell(value) for value in row)} |", flush=True)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


Target = tuple[str, str, float]
"""What is measured, ``>=`` or ``<=``, and how much."""


def print_targets(figures: Mapping[str, float], targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Print those targets whose figure was measured, each with a verdict, and return them."""
    evaluated = [
        {
            "figure": name,
            "measured": figures[name],
            "target": f"{sign} {bound:g}",
            "met": figures[name] >= bound if sign == ">=" else figures[name] <= bound,
        }
        for name, sign, bound in targets
        if name in figures
    ]
    print_table(
        "Targets", ["", "measured", "target", "met"], [tuple(x.values()) for x in evaluated]
    )
    return evaluated


def write_results(name: str, figures: Mapping[str, Any], *, quick: bool) -> None:
    """Write ``results/NAME.json``; a quick run writes beside it, where git does not look."""
    path = RESULTS / (f"{name}.quick.json" if quick else f"{name}.json")
    RESULTS.mkdir(exist_ok=True)
    whole = {"machine": machine(), "quick": quick, **_rounded(dict(figures))}
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(f"\nwrote benchmarks/results/{path.name}")


def _rounded(value: Any) -> Any:
    """Four significant digits: more is noise, and makes every run change every line."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
