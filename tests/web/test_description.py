"""The API is what its description says: typed, OpenAPI 3.1, and held to it by schemathesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server

EXAMPLES = 6  # for each operation, besides what covers its description
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, object]:
    value: dict[str, object] = json.loads(server.ask("GET", "/v1/openapi.json")[2])
    return value


def test_every_operation_has_its_errors(description: dict[str, object]) -> None:
    assert str(description["openapi"]).startswith("3.1")
    paths = description["paths"]
    assert isinstance(paths, dict)
    names = []
    for operations in paths.values():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert operation["description"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
    assert len(names) == len(set(names))
    assert "multipart/form-data" in paths["/v1/search"]["post"]["requestBody"]["content"]


@pytest.mark.slow
def test_schemathesis_finds_no_fault(
    own_home: Path, start: Callable[..., Server], tmp_path: Path
) -> None:
    kept = own_home / "kept"
    kept.mkdir()
    server = start(own_home, "--upload-folder", kept, "--show-positions")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{server.address}/v1/openapi.json",
            "--header", "X-Glocal: 1",
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", str(EXAMPLES),
            "--checks", ",".join(CHECKS),
            "--exclude-path-regex", "/events$",
            "--seed", "1",
            "--generation-database", "none",
            "--no-color",
        ],
        env=os.environ | {"NO_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
