"""``python -m mg_assets.web``: Dagster's web server with the guard and the lake's pages; takes its own options.

``MG_UI_HOSTS`` names hosts, separated by commas, under which the server may be asked for besides the loopback ones.
"""

import os

from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from mg_assets.lake.store import Lake
from mg_assets.settings import settings
from mg_assets.web.connections import open_again
from mg_assets.web.guard import guard
from mg_assets.web.pages import page_route

NOT_SERVED = ("/notebook", "/dagit/notebook")
"""Dagster's pages of notebooks: they show any notebook of the machine, with its scripts, as a page of this server."""


class Webserver(DagsterWebserver):
    """Dagster's, with the lake's pages before its own routes."""

    def build_routes(self) -> list[BaseRoute]:
        """Dagster's routes but those of notebooks, and that of the pages."""
        own = [route for route in super().build_routes() if getattr(route, "path", "") not in NOT_SERVED]
        return [page_route(Lake(settings().lake_url)), *own]

    def build_middleware(self) -> list[Middleware]:
        """The guard, then Dagster's own."""
        hosts = [host.strip() for host in os.environ.get("MG_UI_HOSTS", "").split(",") if host.strip()]
        return [*guard(hosts), *super().build_middleware()]


def main() -> None:
    """Start the server."""
    open_again()
    app.DagsterWebserver = Webserver  # type: ignore
    cli.main()


if __name__ == "__main__":
    main()
