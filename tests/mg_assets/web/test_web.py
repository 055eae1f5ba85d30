"""The web server's guard refuses what another site's page can send; pages of the lake are served, and nothing else."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from mg_assets.lake.pages import page_link
from mg_assets.lake.store import Lake
from mg_assets.web.__main__ import Webserver
from mg_assets.web.guard import guard
from mg_assets.web.pages import page_route

HOST = "127.0.0.1:3000"
OWN = {"host": HOST, "content-type": "application/json"}
WEEK = "2023-09-25"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.write_file("weekly_report", WEEK, "report_en.html", b"<p>report")
    lake.write_file("signal_study", "all", "signal_study_en.html", b"<p>study")
    lake.write_file("hf_gru_model", "2023H1", "card.json", b"{}")
    return lake


@pytest.fixture(scope="module")
def app(lake):
    async def answer(request):
        return PlainTextResponse("reached")

    async def socket(websocket):
        await websocket.accept()
        await websocket.close()

    methods = ["GET", "POST"]
    routes = [
        page_route(lake),
        WebSocketRoute("/graphql", socket),
        *(Route(path, answer, methods=methods) for path in ("/graphql", "/report_asset_check/x", "/")),
    ]
    return Starlette(routes=routes, middleware=guard(["mg.example"]))


def ask(app, method, path, headers, query="", kind="http"):
    """Status (or the type of a websocket's first answer), headers and body of one request."""
    sent = []

    async def receive():
        return {"type": "http.request" if kind == "http" else "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http" if kind == "http" else "ws",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "subprotocols": [],
    }
    asyncio.run(app(scope, receive, send))
    body = b"".join(m.get("body", b"") for m in sent)
    return sent[0].get("status", sent[0]["type"]), {k.decode(): v.decode() for k, v in sent[0].get("headers", [])}, body


@pytest.mark.parametrize(
    ("method", "path", "headers", "query", "status"),
    [
        ("POST", "/graphql", OWN, "", 200),  # a program of the user
        ("POST", "/graphql", OWN | {"origin": f"http://{HOST}"}, "", 200),  # the UI
        ("GET", "/graphql", OWN | {"accept": "text/html"}, "", 200),  # GraphiQL
        ("POST", "/graphql", OWN | {"host": "mg.example", "origin": "https://mg.example"}, "", 200),
        ("GET", "/", {"host": "rebound.example:3000"}, "", 400),
        ("POST", "/graphql", OWN | {"host": "rebound.example:3000", "origin": "http://rebound.example:3000"}, "", 400),
        ("POST", "/graphql", OWN | {"origin": "http://other.example"}, "", 403),
        ("POST", "/graphql", OWN | {"origin": "http://127.0.0.1:8000"}, "", 403),  # another server of this machine
        ("POST", "/graphql", OWN | {"origin": "null"}, "", 403),  # a sandboxed page, those of the lake too
        ("POST", "/graphql", OWN | {"sec-fetch-site": "cross-site"}, "", 403),
        ("POST", "/report_asset_check/x", {"host": HOST, "origin": "http://other.example"}, "", 403),
        ("GET", "/graphql", OWN, "query=mutation%7Bx%7D", 405),
        ("POST", "/graphql", OWN | {"content-type": "text/plain"}, "query=mutation%7Bx%7D", 415),
        ("POST", "/graphql", {"host": HOST}, "query=mutation%7Bx%7D", 415),
    ],
)
def test_only_the_user_and_the_servers_own_pages_pass(app, method, path, headers, query, status):
    found, answered, body = ask(app, method, path, headers, query)
    assert found == status
    assert (body == b"reached") == (status == 200)
    assert status != 200 or answered["x-frame-options"] == "DENY"  # nor can a page lead the user to click in a frame


def test_a_websocket_of_another_origin_is_closed(app):
    assert ask(app, "GET", "/graphql", OWN | {"origin": f"http://{HOST}"}, kind="websocket")[0] == "websocket.accept"
    assert (
        ask(app, "GET", "/graphql", OWN | {"origin": "http://other.example"}, kind="websocket")[0] == "websocket.close"
    )


def test_pages_of_the_lake_are_served_by_their_link(app, lake):
    for table, key, name in (
        ("weekly_report", WEEK, "report_en.html"),
        ("signal_study", "all", "signal_study_en.html"),
    ):
        link = page_link(lake, f"{lake.folder(table, key)}/{name}")
        status, headers, body = ask(app, "GET", link.replace("%3D", "="), OWN)
        assert (status, body[:3]) == (200, b"<p>")
        assert "sandbox" in headers["content-security-policy"]
        assert "allow-same-origin" not in headers["content-security-policy"]


def test_a_page_without_its_week_is_the_newest_weeks(app, lake):
    en, zh = "report_en.html", "report_zh.html"
    for week, name in (("2023-10-02", en), ("2023-10-09", en), ("2023-10-16", zh)):
        lake.write("weekly_report", week, pd.DataFrame({"language": [name]}))
        page = lake.write_file("weekly_report", week, name, b"<p>")
        status, headers, _ = ask(app, "GET", f"/lake/weekly_report/{name}", OWN)
        assert (status, headers["location"]) == (302, page_link(lake, page))
    assert "10-09" in ask(app, "GET", f"/lake/weekly_report/{en}", OWN)[1]["location"]
    assert ask(app, "GET", "/lake/weekly_report/report_fr.html", OWN)[0] == 404


@pytest.mark.parametrize(
    "path",
    ["../secret.html", "weekly_report/../../secret.html", "hf_gru_model/period=2023H1/card.json", "_lake.json",
     "weekly_report/week=2023-09-25/../report_en.html", "/etc/passwd", "weekly_report/week=2023-09-25/no.html",
     ".dagster/x.html", "weekly_report/week=2023-09-25", ""],
)  # fmt: skip
def test_nothing_else_of_the_machine_is_served(app, lake, path):
    root = Path(lake.root)
    (root.parent / "secret.html").write_text("secret")
    (root / ".dagster").mkdir(exist_ok=True)
    (root / ".dagster" / "x.html").write_text("secret")
    assert ask(app, "GET", f"/lake/{path}", OWN)[0] == 404


def test_no_notebook_of_the_machine_is_shown_as_a_page():
    server = Webserver(SimpleNamespace(version="1"))
    served = {getattr(route, "path", "") for route in server.build_routes()}
    assert "/graphql" in served
    assert not [path for path in served if "notebook" in path]
