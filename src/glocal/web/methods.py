"""HEAD wherever there is GET."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Answers HEAD with the status and headers of GET, without the body (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        over = False

        async def answer(message: Message) -> None:
            nonlocal over
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_head(message.get("headers", ()))}
            elif head:
                if over:
                    return
                # The first part of a body that streams without end is its last one here.
                message, over = {"type": "http.response.body", "body": b""}, True
            await send(message)

        # The outer layers go on using the request's own scope, which says HEAD.
        inner = {**scope, "method": "GET"} if head else scope
        await self._app(inner, receive, answer)
        if head and "route" in inner:
            scope["route"] = inner["route"]


def _with_head(headers: object) -> list[tuple[bytes, bytes]]:
    """The headers, with HEAD beside GET where the allowed methods are listed."""
    found: list[tuple[bytes, bytes]] = list(headers)  # type: ignore[call-overload]
    return [
        (name, value + b", HEAD")
        if name.lower() == b"allow" and b"GET" in value and b"HEAD" not in value
        else (name, value)
        for name, value in found
    ]
