"""The files in `deploy/` agree with each other, the documentation and what glocal knows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click import Context, Option

from glocal.cli.app import glocal
from glocal.cluster.config import ClusterConfig

PASSWORD = "GLOCAL_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable

REPOSITORY = Path(__file__).parent.parent
DEPLOY = REPOSITORY / "deploy"
OWN = "glocal-cluster"
PINNED = re.compile(r"[\w./-]+:v?[A-Z.]*\d[\w.-]*")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return found


def words(service: dict[str, Any]) -> list[str]:
    return [str(w) for key in ("entrypoint", "command") for w in service.get(key, [])]


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert PINNED.fullmatch(service["image"]), f"{name}: {service['image']}"


def test_glocal_s_own_image_has_all_extras(
    services: dict[str, dict[str, Any]], project: dict[str, Any]
) -> None:
    build = services["serve"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Containerfile")
    (name, default) = re.findall(
        r"^ARG (\w+)=(\S+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE
    )[0]
    assert name in build["args"]
    for extras in (default, build["args"][name]):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    for service in services.values():
        if service["image"].startswith(OWN):
            assert service["image"] == f"{OWN}:{project['version']}"
            assert service["build"] == build


def test_each_service_waits_for_healthy_ones(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, name
            assert "test" in services[other]["healthcheck"], other
        check = service.get("healthcheck", {})
        assert "test" in check or check.get("disable") or service["image"].startswith(OWN), name
    image = (DEPLOY / "Containerfile").read_text()
    assert "HEALTHCHECK" in image
    assert words(services["serve"])[:2] == ["glocal", "serve"]


def test_the_cluster_s_file_names_the_services(services: dict[str, dict[str, Any]]) -> None:
    config = ClusterConfig.read(DEPLOY / "cluster.toml", environment=False)
    where = urlsplit(config.uri)
    assert (where.hostname, where.port) == ("milvus", 19530)
    assert where.hostname in services
    assert config.ray is not None
    ray = urlsplit(config.ray.address)
    head = words(services[str(ray.hostname)])
    assert (ray.scheme, f"--ray-client-server-port={ray.port}" in head) == ("ray", True)
    (port,) = [word.partition("=")[2] for word in head if word.startswith("--port=")]
    assert f"--address={ray.hostname}:{port}" in words(services["ray-worker"])
    assert f"{ray.hostname}:{port}" in services[str(ray.hostname)]["healthcheck"]["test"]
    inside = "/etc/glocal/cluster.toml"
    assert f"./cluster.toml:{inside}:ro" in services["index"]["volumes"]
    assert words(services["index"])[:4] == ["glocal", "index", "--cluster", inside]


def test_commands_and_options_are_those_of_glocal(services: dict[str, dict[str, Any]]) -> None:
    for name in ("serve", "index"):
        _, command, *rest = words(services[name])
        found = glocal.get_command(Context(glocal), command)
        assert found is not None
        options = (parameter for parameter in found.params if isinstance(parameter, Option))
        known = {name for option in options for name in option.opts}
        assert {word for word in rest if word.startswith("-")} <= known


def test_nothing_but_glocal_can_be_reached(services: dict[str, dict[str, Any]]) -> None:
    published = {name: s["ports"] for name, s in services.items() if "ports" in s}
    assert published == {"serve": ["127.0.0.1:8470:8470"]}
    exposed = re.findall(r"^EXPOSE (\d+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert exposed == ["8470"]


def test_what_is_named_is_there(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    head = (DEPLOY / "compose.yaml").read_text()
    for service in services.values():
        assert set(service.get("secrets", [])) <= compose["secrets"].keys()
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists()
            elif not source.startswith("$"):
                assert source in compose["volumes"]
    for secret in ("token", "ray_token"):
        assert f"> {secret} " in head
    for name in ("postgres", "index"):  # optional: not started unless they are named
        assert services[name]["profiles"] == [name]


def test_each_service_says_only_what_compose_knows(services: dict[str, dict[str, Any]]) -> None:
    """A key that is misspelt is an error of compose, or has no effect."""
    known = {"build", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image"}
    known |= {"ports", "profiles", "restart", "secrets", "security_opt", "shm_size", "volumes"}
    for name, service in services.items():
        assert service.keys() <= known, name
        check = service.get("healthcheck", {})
        assert check.keys() <= {"test", "interval", "timeout", "start_period", "retries", "disable"}
        assert not check.get("test") or check["test"][0] == "CMD"
        for key in ("command", "entrypoint"):
            assert isinstance(service.get(key, []), list), name
        assert service.get("restart") in ("unless-stopped", "no"), name


def test_what_keeps_data_keeps_it_in_a_volume(services: dict[str, dict[str, Any]]) -> None:
    """Where each image writes, so that no data goes with a container."""
    inside = {
        "etcd": next(w.partition("=")[2] for w in words(services["etcd"]) if "data-dir" in w),
        "minio": words(services["minio"])[-1],
        "milvus": "/var/lib/milvus",
        "postgres": "/var/lib/postgresql/data",
        "serve": "/data",
    }
    named = {}
    for name, path in inside.items():
        (volume,) = [v for v in services[name]["volumes"] if v.split(":")[1] == path]
        named[name] = volume.split(":")[0]
    assert len(set(named.values())) == len(named)
    assert f"VOLUME {inside['serve']}" in (DEPLOY / "Containerfile").read_text()


def test_no_password_is_written_down_and_both_sides_have_the_same(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in services.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY$", key):
                assert re.fullmatch(r"\$\{\w+:[-?][^}]*\}", value), key
    milvus, minio = services["milvus"]["environment"], services["minio"]["environment"]
    assert milvus["MINIO_SECRET_ACCESS_KEY"] == minio["MINIO_ROOT_PASSWORD"]
    assert milvus["MINIO_ACCESS_KEY_ID"] == minio["MINIO_ROOT_USER"]
    given = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    for name in ("serve", "index"):
        assert services[name]["environment"][PASSWORD] == given


def test_the_optional_catalogue_is_the_service(
    services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """The lines of cluster.toml that are to be taken in."""
    head, _, optional = (DEPLOY / "cluster.toml").read_text().partition("# [catalogue]")
    taken_in = head + "[catalogue]" + optional.replace("# ", "")
    (tmp_path / "cluster.toml").write_text(taken_in)
    where = urlsplit(ClusterConfig.read(tmp_path / "cluster.toml").catalogue.uri)
    made = services["postgres"]["environment"]
    assert (where.hostname, where.username) == ("postgres", made["POSTGRES_USER"])
    assert where.path == f"/{made['POSTGRES_DB']}"
    check = services["postgres"]["healthcheck"]["test"]
    assert check == ["CMD", "pg_isready", "-U", made["POSTGRES_USER"], "-d", made["POSTGRES_DB"]]


def test_the_documentation_says_the_same(services: dict[str, dict[str, Any]]) -> None:
    page = (REPOSITORY / "docs" / "cluster.md").read_text()
    assert "deploy/compose.yaml" in page
    version = services["milvus"]["image"].rpartition(":v")[2]
    assert f"Server: Milvus {version} " in page
    for name in ("milvus", "ray-head", "ray-worker", "serve", "index", "postgres"):
        assert f"`{name}`" in page, name
    block = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    shown = tomllib.loads(block)
    assert shown.keys() == ClusterConfig.__dataclass_fields__.keys()


def test_the_two_commands_of_one_machine_agree() -> None:
    config = ClusterConfig.read(DEPLOY / "one_machine.toml", environment=False)
    said = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")
    server, index = re.search(
        r"^(milvus-server .*) &\n(glocal index .*)$", said, re.MULTILINE
    ).groups()  # type: ignore[union-attr]
    assert f"--proxy-port {urlsplit(config.uri).port}" in server
    assert "--cluster deploy/one_machine.toml" in index
    assert config.ray is None
    assert not config.catalogue.uri
