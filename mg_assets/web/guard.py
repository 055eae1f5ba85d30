"""Refuses requests that another site's page sends through the user's browser: Dagster's web server asks for no login.

A page anywhere may send a browser to 127.0.0.1. Four doors are closed: a name of its own that resolves to this machine
(the Host header), a request from another origin, a change of state by GET, and a form's content type, which needs no
permission of the browser. Programs of the user (curl, the GraphQL client) send no Origin and pass. No page may show
this server in a frame, where a user could be led to click.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost")
SAFE = ("GET", "HEAD", "OPTIONS")
GRAPHQL_TYPES = ("application/json", "application/graphql")


def guard(hosts: Iterable[str] = ()) -> list[Middleware]:
    """The guard, to be put in front of an application.

    Parameters
    ----------
    hosts : iterable of str
        Names under which the server may be asked for, besides those of the loopback interface.

    Returns
    -------
    list of Middleware
        Outermost first.
    """
    names = Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *hosts], www_redirect=False)
    return [names, Middleware(Guard)]


class Guard:
    """Answers a request of another origin, and a change of state by GET or by a form, with one line and no effect.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status, why = _refusal(scope)
        if not why:
            await self._app(scope, receive, _unframed(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(why + "\n", status)(scope, receive, send)


def _unframed(send: Send) -> Send:
    """Send an answer that no page may show in a frame."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Frame-Options"] = "DENY"
        await send(message)

    return sent


def _refusal(scope: Scope) -> tuple[int, str]:
    """Status and reason for which a request is refused; an empty reason where it is not."""
    headers = Headers(scope=scope)
    graphql = scope["path"].rstrip("/").endswith("/graphql")
    if scope["type"] == "http" and scope["method"] in SAFE:
        if graphql and scope["method"] == "GET" and "query=" in scope["query_string"].decode("latin-1"):
            return 405, "GraphQL by GET is refused, since a link could change state: send a POST of application/json"
        return 200, ""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return 403, f"the request comes from {origin[:100]}, not from this server's own pages"
    if origin is None and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return 403, "the request comes from another site's page"
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if graphql and scope["type"] == "http" and kind not in GRAPHQL_TYPES:
        return 415, f"GraphQL is taken as application/json, not as {kind or 'an unknown type'}"
    return 200, ""
