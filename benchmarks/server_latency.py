"""How fast a server of 100,000 images answers a search: the time that the page waits.

    python benchmarks/server_latency.py [--count 100000] [--work DIR] [--quick]

A real `glocal serve` in a process of its own; one client on loopback uploads two-megapixel JPEGs,
one after the other, and verifies the hits. Time is counted from the last byte of the request to
the last byte of the response, in two cases: photos that are new to the server, and searches by the
id of an upload that it keeps. The gallery is filled with synthetic vectors and local features
(see ``synthetic.py``), so that thumbnails of the hits are not included.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import (
    arguments,
    glocal_command,
    median,
    percentile,
    print_table,
    print_targets,
    write_results,
)
from photos import make_photos
from synthetic import gallery_at

TARGETS = [("upload, ms", "<=", 100)]
_MARK = "glocal-latency"


def started(gallery: Path) -> tuple[subprocess.Popen[str], int]:
    """The server and its port."""
    command = [*map(str, glocal_command()), "serve", "-g", str(gallery), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"at http://127\.0\.0\.1:(\d+)/", line):
            return server, int(found[1])
    raise SystemExit("the server did not start")


def form(**fields: bytes) -> bytes:
    """Fields as the body of a form; ``image`` is a file."""
    body = b""
    for name, value in fields.items():
        file = '; filename="q.jpg"' if name == "image" else ""
        head = f'--{_MARK}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + value + b"\r\n"
    return body + f"--{_MARK}--\r\n".encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[float, dict[str, Any]]:
    """Milliseconds from the last byte sent to the last one read, and the answer."""
    connection.putrequest("POST", "/v1/search")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={_MARK}")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    sent = time.perf_counter()
    response = connection.getresponse()
    answer = json.loads(response.read())
    spent = (time.perf_counter() - sent) * 1000
    if response.status != 200:
        raise SystemExit(f"{response.status}: {answer}")
    return spent, answer


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="images in the gallery")
    parser.add_argument("--work", type=Path, help="keep or find the filled gallery here")
    given = parser.parse_args()
    if given.quick:
        given.count = 22_000
    with tempfile.TemporaryDirectory() as temporary:
        place = given.work or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        filled = gallery_at(place, given.count, Path("/images"))
        photos = [photo.read_bytes() for photo in make_photos(place / "photos", 20)]
        server, port = started(filled.folder)
        times: dict[str, list[float]] = {"upload": [], "again": []}
        stages: dict[str, list[float]] = {}
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for turn in range(1 if given.quick else 5):
                for number, photo in enumerate(photos):
                    fresh = photo + f"{turn} {number}".encode()  # bytes behind a JPEG's end
                    spent, answer = ask(connection, form(image=fresh, limit=b"40"))
                    times["upload"].append(spent)
                    for stage, milliseconds in answer["timings_ms"].items():
                        stages.setdefault(stage, []).append(milliseconds)
                    query = str(answer["query"]).encode()
                    times["again"].append(ask(connection, form(query=query, limit=b"40"))[0])
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    rows = [
        (name, median(found), percentile(found, 0.95), max(found)) for name, found in times.items()
    ]
    print_table(
        f"A search by HTTP, {given.count:,} images", ["", "median, ms", "p95", "slowest"], rows
    )
    inside = {stage: median(found) for stage, found in stages.items()}
    print_table("Inside", ["stage", "median, ms"], list(inside.items()))
    figures = {f"{name}, ms": median(found) for name, found in times.items()}
    results = {"count": given.count, "rows": rows, "inside": inside}
    results["targets"] = print_targets(figures, TARGETS)
    write_results("server_latency", results, quick=given.quick)


if __name__ == "__main__":
    main()
