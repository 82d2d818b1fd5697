"""The API is what its description says: typed, OpenAPI 3.1, and clients generated from it work."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from running import TOKEN, Server, photo

TIMES = max(int(os.environ.get("GLOCAL_EXPLORED_EXAMPLES", "0")), 1)
EXAMPLES = 6 * TIMES
"""Of requests for each operation, besides those that cover its description."""

SEED = os.environ.get("GLOCAL_EXPLORED_SEED", "1")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]
BINARY = "application/octet-stream"
GENERATOR = {
    "package_name_override": "glocal_generated",
    "post_hooks": [],
    "content_type_overrides": {
        "image/jpeg": BINARY,
        "image/png": BINARY,
        "image/webp": BINARY,
        "application/zip": BINARY,
    },
}


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(server.ask("GET", "/v1/openapi.json")[2])
    return value


def test_every_operation_is_described_with_its_errors(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    names = []
    for operations in description["paths"].values():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert operation["description"]
            for parameter in operation.get("parameters", []):
                assert parameter.get("description"), (names[-1], parameter["name"])
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
    assert len(names) == len(set(names))
    assert {"search", "searchBatch", "listImages", "getImage", "removeImage"} <= set(names)
    assert all(name.isalpha() and len(name) <= 24 for name in names)


def test_every_field_is_described(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        for field, told in schema.get("properties", {}).items():
            assert told.get("description"), f"{name}.{field}"
    assert "Evidence" in json.dumps(schemas["Hit"]["properties"]["evidence"])
    assert schemas["Verdict"]["enum"] == ["identical_file", "copy", "same_object", "similar"]


def test_the_description_says_how_to_be_let_in(
    description: dict[str, Any], guarded: Server
) -> None:
    schemes = description["components"]["securitySchemes"]
    assert schemes["token"] == schemes["token"] | {"type": "http", "scheme": "bearer"}
    assert schemes["cookie"] == schemes["cookie"] | {"in": "cookie", "name": "glocal_session"}
    assert {} in description["security"]
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    closed = json.loads(guarded.ask("GET", "/v1/openapi.json", None, bearer)[2])
    assert closed["security"] == [{"token": []}, {"cookie": []}]
    assert closed["paths"]["/v1/health"]["get"]["security"] == []
    for path, method in (("/v1/images/{id}", "delete"), ("/v1/index-runs", "post")):
        headers = closed["paths"][path][method]["parameters"]
        assert [each["name"] for each in headers if each["in"] == "header"] == ["X-Glocal"]


@pytest.fixture(scope="module")
def generated(
    description: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    """A client that openapi-python-client makes of the description."""
    pytest.importorskip("openapi_python_client", reason="openapi-python-client is not installed")
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(description))
    (folder / "config.json").write_text(json.dumps(GENERATOR))
    done = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate",
            "--path", "openapi.json", "--config", "config.json",
            "--meta", "none", "--output-path", "glocal_generated", "--fail-on-warning",
        ],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("glocal_generated")
    finally:
        sys.path.remove(str(folder))
        for name in [one for one in sys.modules if one.startswith("glocal_generated")]:
            del sys.modules[name]


def operation(name: str) -> Any:
    return importlib.import_module(f"glocal_generated.api.{name}")


def test_a_generated_client_works(
    generated: ModuleType, own_home: Path, start: Callable[..., Server]
) -> None:
    server = start(own_home, env={"GLOCAL_TOKEN": TOKEN})
    models = importlib.import_module("glocal_generated.models")
    file = importlib.import_module("glocal_generated.types").File

    def image(seed: int) -> Any:
        import io

        return file(payload=io.BytesIO(photo(seed)), file_name="a.jpg", mime_type="image/jpeg")

    with generated.AuthenticatedClient(base_url=server.address, token=TOKEN) as client:
        body = models.SearchForm(image=image(3), like=[image(4)], limit=3, region="0,0,1,1")
        found = operation("search.search").sync(client=client, body=body)
        assert [hit.rank for hit in found.hits] == [1, 2, 3]
        assert found.hits[0].name == "3.jpg"
        assert found.hits[0].evidence.verdict in set(models.Verdict)
        assert found.hits[0].taken == "2013-05-17T10:00:00"
        body = models.SearchRequest(query=found.query, unlike=[found.hits[1].id], verify=False)
        again = operation("search.search").sync(client=client, body=body)
        assert again.hits[0].id == found.hits[0].id
        assert again.hits[0].evidence is None
        body = models.BatchForm(image=[image(0), image(1)], limit=1)
        batch = operation("search.search_batch").sync(client=client, body=body)
        assert [item.result.hits[0].name for item in batch.results] == ["0.jpg", "1.jpg"]
        page = operation("images.list_images").sync(client=client, limit=2, where="taken >= 2011")
        assert (page.total, len(page.images)) == (3, 2)
        first = page.images[0]
        one = operation("images.get_image").sync(id=first.id, client=client)
        assert one.to_dict() == first.to_dict()
        small = operation("images.get_image_thumbnail").sync(
            id=first.id, client=client, size=models.ThumbnailSize.VALUE_160
        )
        assert small.payload.read(2) == b"\xff\xd8"
        groups = operation("images.list_duplicates").sync(client=client)
        assert groups.groups[0].kind == models.GroupKind.IDENTICAL
        assert [row.action for row in groups.groups[0].rows] == ["keep", "could-remove"]
        decision = models.DecisionRequest(
            kind=models.DecisionRequestKind.KEEP, images=[groups.groups[0].images[0].id]
        )
        decided = operation("images.decide_duplicates").sync(client=client, body=decision)
        assert (decided.changed, decided.groups) == (1, None)
        facts = operation("server.get_info").sync(client=client)
        assert facts.images == 11
        removed = operation("images.remove_image").sync(id=first.id, client=client)
        assert removed.removed == 1
        missing = operation("images.get_image").sync(id=first.id, client=client)
        assert isinstance(missing, models.Problem)
        assert missing.status == 404
    with generated.Client(base_url=server.address) as stranger:
        refused = operation("server.get_info").sync(client=stranger)
        assert refused.status == 401


class References(HTMLParser):
    """What a page links to, loads and names."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        assert not any(name.startswith("on") or name == "style" for name in given)
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag in ("script", "style", "link", "img", "iframe"):
            self.loaded.append((tag, given.get("href") or given.get("src") or ""))
        if given.get("id"):
            self.ids.append(given["id"] or "")


def test_the_reference_is_complete_and_loads_nothing_from_elsewhere(
    server: Server, description: dict[str, Any]
) -> None:
    status, headers, body = server.ask("GET", "/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = References()
    page.feed(body.decode())
    operations = [one for each in description["paths"].values() for one in each.values()]
    assert {one["operationId"] for one in operations} <= set(page.ids)
    assert {f"type-{name}" for name in description["components"]["schemas"]} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert {kind for kind, _ in page.loaded} == {"link"}
    for _, address in page.loaded:
        assert server.ask("GET", f"/{address}")[0] == 200


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
            "--seed", SEED,
            "--request-timeout", "60",  # on a busy machine sixteen images take more than 10 s
            "--generation-database", "none",
            "--no-color",
        ],
        env=os.environ | {"NO_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300 if TIMES == 1 else 1_500,
        check=False,
    )  # fmt: skip
    print(done.stdout[-2000:])  # how many requests there were, for benchmarks/faults.py
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
