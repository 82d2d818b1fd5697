"""Parameters that many operations share: what is declared here is described in OpenAPI."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from glocal.web import guard
from glocal.web.problems import ProblemError


def _check_names(request: Request) -> None:
    """Refuse query parameters that the operation does not have, or that are given twice."""
    known = {each.alias for each in request.scope["route"].dependant.query_params}
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            has = f"it has: {', '.join(sorted(known))}" if known else "it has none"
            raise ProblemError(
                422,
                f"this operation has no query parameter {name[:50]!r}; {has}",
                kind="urn:glocal:invalid",
            )
        if names.count(name) > 1:
            raise ProblemError(
                422, f"{name} is given twice; give it once", kind="urn:glocal:invalid"
            )


def _own_header(
    _: Annotated[
        str,
        Header(
            alias=guard.OWN_HEADER,
            description="Any value. Protects against requests that other sites' pages send; not "
            "needed for searches, downloads, with a bearer token, or from the server's own page.",
        ),
    ] = "1",
) -> None:
    """Describe the header that `glocal.web.guard.Guard` checks."""


KNOWN_PARAMETERS = Depends(_check_names)
OWN_HEADER = Depends(_own_header)
"""For operations that change something; on searches it is only described, since some generators
(openapi-python-client 0.29) need an optional parameter beside two kinds of bodies."""
