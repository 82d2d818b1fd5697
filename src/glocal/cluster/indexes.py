"""Which index a collection of Milvus has: a graph in memory, or one on disk.

HNSW (Malkov & Yashunin 2018) keeps vectors and links in the memory of the nodes that search.
DiskANN (Subramanya et al. 2019) keeps a compressed copy there, and vectors and links on their
disks: slower, for collections that memory does not hold. The cluster's file chooses, or lets the
size choose.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from glocal.cluster.config import ClusterConfig
from glocal.cluster.server import RefusedError, Server
from glocal.errors import GalleryError

HNSW, DISKANN = "HNSW", "DISKANN"
"""Names of Milvus."""

FIELD = "vector"
"""The field that is indexed."""

_METRIC = "IP"

_log = logging.getLogger(__name__)


def wanted(config: ClusterConfig, vectors: int) -> str:
    """The index that a collection of so many vectors is to have: `HNSW` or `DISKANN`."""
    if config.index == "auto":
        return DISKANN if vectors > config.diskann.above else HNSW
    return config.index.upper()


def search_parameters(config: ClusterConfig, limit: int) -> dict[str, Any]:
    """Parameters of a search, for either index: each takes its own and passes over the other's."""
    return {
        "metric_type": _METRIC,
        "params": {
            "ef": min(max(config.hnsw.ef, limit), 2**15),
            "search_list": max(config.diskann.search_list, limit),
        },
    }


def present(server: Server, collection: str) -> str:
    """The index that a collection has, empty where it has none."""
    if not server.call("list_indexes", collection):
        return ""
    return str(server.call("describe_index", collection, FIELD).get("index_type", ""))


def prepare(server: Server, collection: str, vectors: int) -> None:
    """Give a collection its index where it has none, and let it be searched.

    Args:
        server: where it is.
        collection: its name.
        vectors: how many it will have, as far as is known.

    Raises:
        GalleryError: DiskANN is asked for, and the server has none.
    """
    if not present(server, collection):
        kind = wanted(server.config, vectors)
        if kind == DISKANN and (lacking := _without_disk(server, collection)):
            if server.config.index != "auto":
                raise _no_diskann(server, lacking)
            _told(server, vectors, lacking)
            kind = HNSW
        if kind == HNSW:
            _create(server, collection, HNSW)
    load(server, collection)


def require(server: Server) -> None:
    """Make sure that the server has the index that is asked for.

    Raises:
        GalleryError: that is DiskANN, and it has none.
    """
    if server.config.index == "diskann" and (lacking := _lite(server) or _tried(server)):
        raise _no_diskann(server, lacking)


def settled(config: ClusterConfig, vectors: int) -> bool:
    """Whether a collection of so many vectors stays as it is, whatever index it has."""
    return config.index == "auto" and wanted(config, vectors) == HNSW


def outgrown(server: Server, collection: str, vectors: int) -> bool:
    """Whether a collection is to get another index than it has.

    With ``auto``, DiskANN never becomes HNSW again, nor where the server has no DiskANN.

    Raises:
        GalleryError: DiskANN is asked for, and the server has none.
    """
    kind, auto = wanted(server.config, vectors), server.config.index == "auto"
    if settled(server.config, vectors) or kind == present(server, collection):
        return False
    if kind == HNSW:
        return True
    lacking = _lite(server) or _tried(server)
    if lacking and not auto:
        raise _no_diskann(server, lacking)
    if lacking:
        _told(server, vectors, lacking)
    return not lacking


def replace(server: Server, collection: str, vectors: int) -> None:
    """Take the index of a collection away and begin to make the other one.

    Until `load` is done, searches wait.
    """
    kind = wanted(server.config, vectors)
    _log.warning("changing the index of %s to %s; searches wait meanwhile", collection, kind)
    server.call("release_collection", collection)
    server.call("drop_index", collection, FIELD)
    _create(server, collection, kind)


def load(server: Server, collection: str) -> None:
    """Let a collection be searched."""
    server.call("load_collection", collection)


def _create(server: Server, collection: str, kind: str) -> None:
    config = server.config

    def create(client: Any, left: float) -> None:
        index = client.prepare_index_params()
        parameters = (
            {"M": config.hnsw.m, "efConstruction": config.hnsw.ef_construction}
            if kind == HNSW
            else {}
        )
        index.add_index(FIELD, index_type=kind, metric_type=_METRIC, params=parameters)
        client.create_index(collection, index, timeout=left, sync=False)  # it may take hours

    server.repeat(create)


def _without_disk(server: Server, collection: str) -> str:
    """Give a collection DiskANN; why not, where the server has none."""
    if lacking := _lite(server):
        return lacking
    try:
        _create(server, collection, DISKANN)
    except RefusedError as error:
        return str(error)
    return ""


def _tried(server: Server) -> str:
    """Why the server has no DiskANN, as an empty collection tells that is made for it."""
    from pymilvus import DataType

    name = f"{server.config.prefix}_trial_{uuid.uuid4().hex}"

    def make(client: Any, left: float) -> None:
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field(FIELD, DataType.FLOAT_VECTOR, dim=8)
        client.create_collection(name, schema=schema, timeout=left)

    server.repeat(make)
    try:
        return _without_disk(server, name)
    finally:
        server.call("drop_collection", name)


def _lite(server: Server) -> str:
    """Why not, of a server that takes the request, and then tries in vain for ever."""
    version = server.version()
    return f"Milvus {version} was built without it" if version.endswith("-lite") else ""


def _no_diskann(server: Server, why: str) -> GalleryError:
    return GalleryError(
        f"the cluster at {server.config.uri} has no DiskANN ({why}); use a server that has "
        '(queryNode.enableDisk in its configuration), or set index = "hnsw" in the cluster\'s file'
    )


def _told(server: Server, vectors: int, why: str) -> None:
    _log.warning(
        "%d vectors are more than diskann.above, and stay in memory: the cluster at %s has no "
        "DiskANN (%s)",
        vectors,
        server.config.uri,
        why,
    )
