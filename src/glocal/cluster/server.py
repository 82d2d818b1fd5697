"""The connection to a Milvus server: waits while it is away, and says what is wrong.

A server that was restarted answers some requests before it can answer all: it still loads the
collections, and says of them whatever its parts say. So whatever is not the fault of the request
is asked again until the time is over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from glocal.cluster.config import ClusterConfig
from glocal.errors import GalleryError, MissingExtraError, StoreUnavailableError, install_command

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_PAUSE = 0.05  # seconds before the first repetition; they double
_LONGEST_PAUSE = 1.0

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_BAD_REQUEST = (*range(1100, 1200), "INVALID_ARGUMENT", "UNIMPLEMENTED")
"""What gRPC says of requests that make no sense, and Milvus's codes (``pkg/util/merr``)."""

_UNSUPPORTED = 701  # an index that no node of the server can build

_log = logging.getLogger(__name__)
T = TypeVar("T")


class RefusedError(GalleryError):
    """The server refuses a request, and would every time."""


class Server:
    """A Milvus server; any thread may call. Nothing is sent, nor imported, before it is needed.

    Args:
        config: where it is.
    """

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config
        self._opening = threading.Lock()
        self._client: MilvusClient | None = None

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the client; see `repeat`."""
        return self.repeat(
            lambda client, left: getattr(client, method)(*arguments, **named, timeout=left)
        )

    def repeat(self, request: Callable[[Any, float], T]) -> T:
        """Send a request, again and again while the server is away.

        Args:
            request: given the client and the seconds that are left for it.

        Raises:
            StoreUnavailableError: it was away for longer than the time limit.
            RefusedError: it refuses the request.
            GalleryError: it does not accept the token.
            MissingExtraError: the extra ``cluster`` is not installed.
        """
        require_extra()
        import grpc
        from pymilvus.exceptions import MilvusException

        ends = time.monotonic() + self.config.timeout
        pause = _PAUSE
        while True:
            left = ends - time.monotonic()
            try:
                return request(self._connected(max(left, 0.1)), max(left, 0.1))
            except (MilvusException, grpc.RpcError) as error:
                self._require_sense(error)
                if time.monotonic() + pause >= ends:
                    raise StoreUnavailableError(
                        f"the cluster at {self.config.uri} has not answered for "
                        f"{self.config.timeout:g} s ({_text(error)}); start it, or correct its "
                        "address, and run the same command again (what was done so far is kept)"
                    ) from error
                _log.info("waiting for the cluster at %s: %s", self.config.uri, _text(error))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def version(self) -> str:
        """The server's version."""
        return str(self.call("get_server_version"))

    def timestamp(self) -> int:
        """A moment of the server's own clock, after all that it has acknowledged."""
        # Every version of the client has this, and only its handler of the connection.
        return self.repeat(
            lambda client, left: int(client._get_connection().alloc_timestamp(timeout=left))
        )

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self, timeout: float) -> MilvusClient:
        with self._opening:
            if self._client is None:
                from pymilvus import MilvusClient

                # It logs the traceback of each failed try; what is wrong is told once, by `repeat`.
                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                config, tls = self.config, self.config.tls
                tls.require_files()
                more: dict[str, Any] = {}
                if tls.certificate:
                    more = {
                        "client_pem_path": tls.certificate,
                        "client_key_path": tls.key,
                        "ca_pem_path": tls.ca,
                    }
                elif tls.ca:
                    more = {"server_pem_path": tls.ca}
                if tls.server_name:
                    more["server_name"] = tls.server_name
                self._client = MilvusClient(
                    config.uri,
                    token=config.token,
                    db_name=config.database,
                    timeout=timeout,
                    dedicated=True,  # else one with other files or another token may be used
                    **more,
                )
            return self._client

    def _require_sense(self, error: Exception) -> None:
        """Raise an error where it is of no use to ask again."""
        from pymilvus.exceptions import ParamError

        code, said = _code(error), _text(error)
        if code in _REFUSED:
            raise GalleryError(
                f"the cluster at {self.config.uri} does not accept the token ({said}); correct it "
                "in the cluster's file or in GLOCAL_MILVUS_TOKEN"
            ) from error
        if isinstance(error, ParamError) or code in (*_BAD_REQUEST, _UNSUPPORTED):
            raise RefusedError(
                f"the cluster at {self.config.uri} refuses a request: {said}"
            ) from error


def _root(error: Exception) -> Any:
    """What gRPC says, where the client only says that it could not connect."""
    import grpc

    return error.__cause__ if isinstance(error.__cause__, grpc.RpcError) else error


def _code(error: Exception) -> str | int:
    """The name of gRPC's code, or the number of Milvus's own."""
    code: Any = getattr(_root(error), "code", "")
    code = code() if callable(code) else code
    name: str | int = getattr(code, "name", code)
    return name


def _text(error: Exception) -> str:
    root = _root(error)
    message = getattr(root, "message", None) or getattr(root, "details", lambda: None)()
    return " ".join(str(message or error).split())[:300]


def require_extra() -> None:
    """Make sure that the client is installed.

    Raises:
        MissingExtraError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("pymilvus") is None:
        raise MissingExtraError(
            f"a gallery in a cluster needs pymilvus: {install_command('glocal[cluster]')}"
        )
