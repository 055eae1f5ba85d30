"""The UI in a real browser: graph, a partitioned asset's page, checks, a plot."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def server(built):
    """`dagster-webserver` on the small lake."""
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = built.environment | {"DAGSTER_HOME": str(built.folder / "lake" / ".dagster")}
    program = str(Path(sys.executable).parent / "dagster-webserver")
    process = subprocess.Popen(
        [program, "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
        env=env,
        cwd=built.checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/server_info", timeout=5)
            break
        except OSError:
            if time.monotonic() > deadline:
                process.kill()
                raise
            time.sleep(0.5)
    yield url
    os.killpg(process.pid, 15)
    process.wait(timeout=30)


@pytest.fixture(scope="module")
def page(server):
    from playwright.sync_api import TimeoutError, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1700, "height": 1050})
        tab.set_default_timeout(60_000)
        tab.goto(server)
        welcome = tab.get_by_text("Skip", exact=True)  # Dagster greets a new browser with its newsletter
        try:
            welcome.wait_for(timeout=15_000)
            welcome.click()
        except TimeoutError:
            pass
        yield tab
        browser.close()


def picture(page, name: str) -> None:
    """Save what the browser shows where MG_SCREENSHOTS names a folder."""
    folder = os.environ.get("MG_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def test_the_graph_shows_every_floor(page, server):
    page.goto(f"{server}/asset-groups")
    for group in ("raw", "bars", "factors", "models", "portfolios", "reports"):
        page.get_by_text(group, exact=True).first.wait_for()
    page.wait_for_timeout(2000)
    picture(page, "graph")


def test_a_partitioned_asset_shows_its_days(page, server):
    page.goto(f"{server}/assets/intraday_factors?view=partitions")
    page.get_by_text("Materialized").first.wait_for()
    page.wait_for_timeout(2000)
    page.goto(f"{server}/assets/intraday_factors?view=partitions&partition=2023-03-03")
    page.get_by_text("null_share").first.wait_for()  # that day's own metadata
    page.wait_for_timeout(1000)
    picture(page, "partitions")


def test_checks_are_listed_with_their_result(page, server):
    page.goto(f"{server}/assets/trades?view=checks")
    page.get_by_text("order_numbers").or_(page.get_by_text("set_aside")).first.wait_for()
    page.wait_for_timeout(2000)
    assert "Passed" in page.inner_text("body")
    picture(page, "checks")


def test_an_evaluation_shows_its_plots(page, server):
    page.goto(f"{server}/assets/signal_evaluation?view=overview")
    page.get_by_text("RankIC: fused").or_(page.get_by_text("RankIC:")).first.wait_for()
    page.wait_for_timeout(1500)
    picture(page, "evaluation")
    shown = page.get_by_text("Show Markdown").or_(page.get_by_text("Show markdown")).first
    shown.wait_for()
    page.get_by_text("Show Markdown").last.click()
    page.wait_for_selector("img[src^='data:image/png']")
    page.wait_for_timeout(800)  # the dialog fades in
    assert page.evaluate("[...document.images].some(i => i.src.startsWith('data:image/png') && i.naturalWidth > 300)")
    picture(page, "plot")
