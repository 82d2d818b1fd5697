"""The file that says where a cluster is: TOML, written by people.

::

    uri = "https://milvus.example.org:19530"
    token = "user:password"   # or GLOCAL_MILVUS_TOKEN in the environment, which comes first
    database = "default"
    prefix = "glocal"         # of the names of collections and schemas
    timeout = 60              # seconds to wait for a server that is away
    index = "auto"            # "hnsw", in memory; "diskann", on disk; "auto": by the size

    [catalogue]               # in PostgreSQL; without it, in a file of the gallery's folder
    uri = "postgresql://me@db.example.org/glocal"   # the password: GLOCAL_POSTGRES_PASSWORD

    [tls]                     # with https; paths are relative to this file
    ca = "ca.pem"             # who has signed the server's certificate, if not a public authority
    certificate = "me.pem"    # of this client, with its key, where the server asks for one
    key = "me.key"
    server_name = "milvus"    # in the certificate, where it is not the host of the address

    [hnsw]                    # the graph (Malkov & Yashunin 2018)
    m = 16                    # links of a vector
    ef_construction = 128     # candidates while it is built
    ef = 128                  # candidates while it is searched, at least

    [diskann]                 # the index on disk (Subramanya et al. 2019)
    search_list = 128         # candidates while it is searched, at least
    above = 30000000          # vectors of a collection from which "auto" chooses it

    [ray]                     # index with Ray's workers; without this table, in one process
    address = "auto"          # of the Ray cluster: "auto" is the one of this machine, "local"
                              # starts one here for the run; or "ray://HOST:10001", "HOST:6379"
    workers = 0               # processes that read and describe images; 0: a processor each
    threads = 4               # files that a worker reads at a time
    start = 120               # seconds to wait for the first worker
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from glocal.errors import GalleryError

TOKEN = "GLOCAL_MILVUS_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable that gives the token."""

INDEXES = ("auto", "hnsw", "diskann")
"""Values of ``index``."""

_RAY_ADDRESS = re.compile(r"auto|local|(ray://)?[\w.\-\[\]:]+:[0-9]{1,5}")
_LARGEST = 2**20  # bytes of a file; it may be the wrong one, and even endless
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for an encrypted connection; see the module.

    Attributes:
        ca: certificate of the authority.
        certificate: of this client.
        key: of this client.
        server_name: in the server's certificate.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""

    def require_files(self) -> None:
        """Make sure that the files can be read.

        Raises:
            GalleryError: one cannot; it is named.
        """
        for name, file in _files(self).items():
            if not os.path.isfile(file) or not os.access(file, os.R_OK):
                raise GalleryError(
                    f"the cluster's {name} of [tls], {file}, is no file that can be read; correct "
                    "its path in cluster.toml"
                )


@dataclass(frozen=True, slots=True)
class Hnsw:
    """Parameters of the graph; see the module."""

    m: int = 16
    ef_construction: int = 128
    ef: int = 128


@dataclass(frozen=True, slots=True)
class Diskann:
    """Parameters of the index on disk; see the module.

    Attributes:
        search_list: candidates while it is searched, at least.
        above: vectors of a collection from which ``auto`` chooses it. The default is what a node of
            128 GiB holds in memory, at 1.4 times the bytes of 512 float32 and 30 % free.
    """

    search_list: int = 128
    above: int = 30_000_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Where the catalogue is; see the module.

    Attributes:
        uri: address of a PostgreSQL server and database, as libpq reads it; empty: the catalogue
            is in the gallery's folder.
    """

    uri: str = ""


@dataclass(frozen=True, slots=True)
class RaySettings:
    """Where Ray's workers are, and how many; see the module."""

    address: str = "auto"
    workers: int = 0
    threads: int = 4
    start: float = 120.0


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Where a cluster is, and how to use it; see the module.

    Attributes:
        uri: address of the server.
        token: given to the server; empty where it asks for none.
        database: of the server.
        prefix: of the names of collections and schemas.
        timeout: seconds after which a server that does not answer is away.
        tls: files for an encrypted connection.
        index: ``hnsw``, ``diskann``, or ``auto`` for the one that the size asks for.
        hnsw: parameters of the graph.
        diskann: parameters of the index on disk.
        catalogue: where the catalogue is.
        ray: where images are read and described; `None` for the process that indexes.
    """

    uri: str
    token: str = field(default="", repr=False)
    database: str = ""
    prefix: str = "glocal"
    timeout: float = 60.0
    index: str = "auto"
    tls: Tls = field(default_factory=Tls)
    hnsw: Hnsw = field(default_factory=Hnsw)
    diskann: Diskann = field(default_factory=Diskann)
    catalogue: Catalogue = field(default_factory=Catalogue)
    ray: RaySettings | None = None

    @classmethod
    def read(cls, path: Path, *, environment: bool = True) -> ClusterConfig:
        """Read a file.

        Args:
            path: of the file.
            environment: whether the token of the environment counts.

        Raises:
            GalleryError: it cannot be read, or something in it makes no sense.
        """
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST + 1)
            if len(text) > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST} bytes")
            said = tomllib.loads(text.decode("utf-8"))
        except (OSError, ValueError) as error:
            raise GalleryError(
                f"the cluster's file {path} cannot be read ({error}); correct it, or, where it is "
                "a gallery's own copy, give the gallery another: glocal index --cluster FILE"
            ) from error
        try:
            config = _made(
                cls,
                said,
                tls=Tls,
                hnsw=Hnsw,
                diskann=Diskann,
                catalogue=Catalogue,
                ray=RaySettings,
            )
            config._require_sense()
        except (TypeError, ValueError) as error:
            raise GalleryError(f"the cluster's file {path}: {error}") from error
        tls = config.tls
        beside = {n: str(path.absolute().parent / f) for n, f in _files(tls).items()}
        token = os.environ.get(TOKEN, config.token) if environment else config.token
        return replace(config, token=token, tls=replace(tls, **beside))

    def text(self) -> str:
        """The content of a file that says the same."""
        lines, tables = list[str](), list[str]()
        for each in fields(self):
            value = getattr(self, each.name)
            if is_dataclass(value):
                inner = [(f.name, getattr(value, f.name)) for f in fields(value)]
                said = [
                    f"{name} = {json.dumps(v, ensure_ascii=False)}" for name, v in inner if v != ""
                ]
                tables += ["", f"[{each.name}]", *said] if said else []
            elif value not in ("", None):
                lines.append(f"{each.name} = {json.dumps(value, ensure_ascii=False)}")
        return "\n".join([*lines, *tables]) + "\n"

    def _require_sense(self) -> None:
        address = urlsplit(self.uri)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"uri is {self.uri!r}; give an address such as http://localhost:19530")
        _require_port(self.uri)
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                f"prefix is {self.prefix!r}; use at most 100 letters, digits and underscores, "
                "beginning with a letter"
            )
        if not 0 < self.timeout <= 3600:
            raise ValueError(f"timeout is {self.timeout}; give seconds up to 3600")
        if bool(self.tls.certificate) != bool(self.tls.key):
            raise ValueError("tls has only one of certificate and key; give both")
        if self.tls.certificate and not self.tls.ca:
            raise ValueError("tls has a certificate and no ca; give the authority's file too")
        if _files(self.tls) and address.scheme != "https":
            raise ValueError(f"tls is for https, and uri is {self.uri!r}")
        self._require_catalogue()
        if self.ray is not None:
            _require_ray(self.ray)
        if self.index not in INDEXES:
            raise ValueError(f"index is {self.index!r}; choose from {', '.join(INDEXES)}")
        for table, name, low, high in (
            ("hnsw", "m", 2, 2048),
            ("hnsw", "ef_construction", 1, 32768),
            ("hnsw", "ef", 1, 32768),
            ("diskann", "search_list", 1, 65536),
            ("diskann", "above", 0, 10**12),
        ):
            value = getattr(getattr(self, table), name)
            if not low <= value <= high:
                raise ValueError(f"{table}.{name} is {value}; it goes from {low} to {high}")

    def _require_catalogue(self) -> None:
        uri = self.catalogue.uri
        if not uri:
            return
        try:
            address = urlsplit(uri)
            secret = address.password is not None or "password" in parse_qs(address.query)
        except ValueError as error:
            raise ValueError(f"catalogue.uri cannot be read: {error}") from error
        if secret:  # which is not shown
            raise ValueError(
                "catalogue.uri has a password; leave it out, and give it in the environment "
                "(GLOCAL_POSTGRES_PASSWORD) or in libpq's password file"
            )
        if address.scheme not in ("postgresql", "postgres"):
            raise ValueError(
                f"catalogue.uri is {uri!r}; give an address such as "
                "postgresql://me@localhost:5432/glocal"
            )


def _require_port(uri: str) -> None:
    try:
        port = urlsplit(uri).port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"uri is {uri!r}, whose port is none; give one from 1 to 65535")


def _require_ray(ray: RaySettings) -> None:
    if not _RAY_ADDRESS.fullmatch(ray.address):
        raise ValueError(
            f'ray.address is {ray.address!r}; give "auto", "local", "ray://HOST:10001" or '
            '"HOST:6379"'
        )
    for name, low, high in (("workers", 0, 100_000), ("threads", 1, 256), ("start", 1, 86_400)):
        value = getattr(ray, name)
        if not low <= value <= high:
            raise ValueError(f"ray.{name} is {value}; it goes from {low} to {high}")


def _files(tls: Tls) -> dict[str, str]:
    """Those of the files that are named."""
    named = {name: getattr(tls, name) for name in ("ca", "certificate", "key")}
    return {name: value for name, value in named.items() if value}


def _made(kind: type[T], said: Mapping[str, Any], **inner: type[Any]) -> T:
    """A record of what a table says; an unknown name or a value of another type is an error."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in said.items():
        if name not in known:
            raise ValueError(f"there is no setting {name!r}; choose from {', '.join(known)}")
        if name in inner:
            if not isinstance(value, dict):
                raise ValueError(f"{name} is {value!r}; make it a table: [{name}]")
            values[name] = _made(inner[name], value)
            continue
        wanted: Any = {"int": int, "float": (int, float)}.get(str(known[name].type), str)
        if not isinstance(value, wanted) or isinstance(value, bool):
            kinds = {int: "a whole number", str: "a text"}.get(wanted, "a number")
            raise ValueError(f"{name} is {value!r}; give {kinds}")
        values[name] = value
    if "uri" in known and not values.get("uri"):
        if kind is Catalogue:
            raise ValueError("[catalogue] names no server; give uri: postgresql://localhost/glocal")
        raise ValueError("it names no server; give uri, such as http://localhost:19530")
    return kind(**values)
