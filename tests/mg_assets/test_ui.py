"""``mg ui`` in a real browser: graph, plots, partitions, failed checks with rows, a backfill, jobs, the weekly report.

Run by hand, ``pytest -m browser``; ``MG_SCREENSHOTS`` names a folder for what the browser shows.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE = 240_000  # milliseconds: a busy machine loads a code location for a minute
QUERY = """{assetNodes{assetKey{path} assetChecksOrError{... on AssetChecks{checks{name
executionForLatestMaterialization{evaluation{success metadataEntries{label __typename}}}}}}}}"""


def processes(group: int) -> list[str]:
    """Command lines of the processes of a session that have not ended."""
    out = subprocess.run(["ps", "-s", str(group), "-o", "args="], capture_output=True, text=True, check=False).stdout
    return [line for line in out.splitlines() if "<defunct>" not in line]


@pytest.fixture(scope="module")
def server(built):
    """``mg ui`` on the small lake; none of its processes is left when it has been interrupted."""
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {k: v for k, v in built.environment.items() if k != "DAGSTER_HOME"}
    command = [sys.executable, "-m", "mg_assets.cli.main", "ui", "--port", str(port)]
    process = subprocess.Popen(
        command, env=env, cwd=built.checkout, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            urllib.request.urlopen(f"{url}/server_info", timeout=5)
            break
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                process.kill()
                raise
            time.sleep(0.5)
    assert len(processes(process.pid)) >= 3
    yield url
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert "stopping Dagster" in printed
    assert processes(process.pid) == []


@pytest.fixture(scope="module")
def tab(server):
    """A browser's tab; an error that a page logs fails the test of that page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 1900})
        page.set_default_timeout(PATIENCE)
        page.logged = []
        page.on("console", lambda m: page.logged.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.logged.append(str(error)))
        page.goto(server)
        page.wait_for_timeout(5_000)
        assert not page.get_by_text("newsletter").count()  # Dagster's, in front of a new browser's first page
        yield page
        browser.close()


@pytest.fixture
def page(tab):
    tab.logged.clear()
    yield tab
    assert tab.logged == []


def picture(page, name: str) -> None:
    """Save what the browser shows where MG_SCREENSHOTS names a folder."""
    folder = os.environ.get("MG_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(1500)
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def ask(server: str, query: str) -> dict:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{server}/graphql", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=PATIENCE / 1000))["data"]


def test_the_graph_shows_every_group(page, server):
    page.goto(f"{server}/asset-groups")
    for group in ("raw", "bars", "factors", "models", "portfolios", "reports"):
        page.get_by_text(group, exact=True).first.wait_for()
    picture(page, "graph")


@pytest.mark.parametrize(
    ("table", "figure"),
    [
        ("weekly_bars", "sessions"),
        ("weights_csi500_turnover30", "largest_violation"),
        ("hf_gru_model", "best_validation_rank_ic"),
    ],
)
def test_an_asset_plots_its_figures_over_partitions(table, figure, page, server):
    page.goto(f"{server}/assets/{table}?view=overview")
    page.get_by_text("Plots", exact=True).first.click()
    page.get_by_text(figure, exact=True).first.wait_for()
    assert page.locator("canvas").count() >= 2
    picture(page, f"plots_{table}")


def test_a_partition_shows_its_own_rows(page, server, lake):
    day = lake.keys("intraday_factors")[-1]
    page.goto(f"{server}/assets/intraday_factors?view=partitions&partition={day}")
    row = page.locator("tr", has_text="dagster/partition_row_count").first
    row.wait_for()
    assert str(len(lake.day("intraday_factors", day, ["symbol"]))) in row.inner_text()
    picture(page, "partition")


def test_a_failed_check_shows_its_rows(page, server):
    failed = [
        (node["assetKey"]["path"][0], check["name"])
        for node in ask(server, QUERY)["assetNodes"]
        for check in node["assetChecksOrError"].get("checks", [])
        if (run := check["executionForLatestMaterialization"]) and run["evaluation"]
        if {"label": "bad", "__typename": "TableMetadataEntry"} in run["evaluation"]["metadataEntries"]
    ]
    assert failed  # a market of 90 stocks has days that a check warns of
    table, check = failed[0]
    page.goto(f"{server}/assets/{table}?view=checks&checkDetail={check}")
    cells = page.locator("th", has_text="measure")
    cells.first.wait_for()
    page.locator("th", has_text="observed").first.wait_for()
    picture(page, "failed_check")


def test_a_backfill_is_launched_and_finishes(page, server, lake):
    first, last = lake.keys("monthly_bars")[-2:]
    page.goto(f"{server}/assets/monthly_bars?view=overview")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Partition selection").wait_for()
    dialog = page.locator("[role=dialog], .bp5-dialog, .bp4-dialog")
    box = dialog.locator("input[type=text]").first
    box.fill(f"[{first}...{last}]")
    box.press("Enter")
    page.get_by_text("2 partitions", exact=True).first.wait_for()
    picture(page, "backfill_dialog")
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_role("button", name="Launch backfill").wait_for(state="hidden")
    query = "{partitionBackfillsOrError(limit: 1){... on PartitionBackfills{results{status numPartitions}}}}"
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        found = ask(server, query)["partitionBackfillsOrError"]["results"]
        if found and found[0]["status"] in ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED"):
            break
        assert time.monotonic() < deadline, found
        time.sleep(1)
    assert found == [{"status": "COMPLETED_SUCCESS", "numPartitions": 2}]
    page.goto(f"{server}/runs?view=backfills")
    page.get_by_text("Completed").or_(page.get_by_text("Success")).first.wait_for()
    picture(page, "backfills")


def test_a_job_lists_the_runs_of_mg_run(page, server):
    page.goto(f"{server}/locations/mg_assets.definitions/jobs/daily_after_close/runs")
    page.get_by_text("Success").first.wait_for()
    picture(page, "job_runs")


def test_the_weekly_report_opens_from_its_page(page, server, lake):
    page.goto(f"{server}/assets/weekly_report?view=overview")
    link = page.locator("a[href*='/lake/weekly_report/']").first
    link.wait_for()
    picture(page, "report_asset")
    page.goto(f"{server}/lake/{link.get_attribute('href').partition('/lake/')[2]}")
    page.locator("h1").first.wait_for()
    picture(page, "report")
