"""The route of the lake's pages."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mg_assets.lake.pages import find_page, newest_page
from mg_assets.lake.store import Lake

POLICY = (
    "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; img-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
"""A page runs as a site of its own: nothing in it reaches Dagster, nothing is fetched."""


def page_route(lake: Lake) -> Route:
    """The route that serves the pages of a lake, and nothing else of it."""

    def page(request: Request) -> Response:
        path = request.path_params["path"]
        found = find_page(lake, path)
        if found is None and (newest := newest_page(lake, path)):
            return RedirectResponse(newest, 302)  # a browser keeps the element's id
        if found is None:
            return PlainTextResponse("the lake has no such page\n", 404)
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return Response(found[0], media_type=found[1], headers=headers)

    return Route("/lake/{path:path}", page)
