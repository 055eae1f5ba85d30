"""The webhook gets a day's first failure at once and the others as one message, from a real server on this machine."""

import datetime as dt
import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from mg_assets import automation
from mg_assets.orchestration.digest import LISTED, SHANGHAI, look
from mg_assets.orchestration.webhook import post
from mg_assets.settings import settings

TOKEN = "T0KEN-of-the-webhook"


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted, and answers with the server's status."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere/{TOKEN}")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.taken, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}/services/{TOKEN}"
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def fail(instance, day: str, error: str = "step trades failed") -> str:
    run = dg.DagsterRun(
        job_name="daily_after_close", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": day}
    )
    instance.add_run(run)
    instance.report_run_failed(run, error)
    return run.run_id


def evening() -> dt.datetime:
    """Tomorrow after the hour of the day's notice."""
    return dt.datetime.now(SHANGHAI).replace(hour=21, minute=5) + dt.timedelta(days=1)


class Watch:
    """The sensor's looks at an instance, one after the other."""

    def __init__(self, instance, hook):
        self.instance, self.hook, self.log = instance, hook, []
        self.cursor = None
        self(dt.datetime.now(SHANGHAI))

    def __call__(self, now: dt.datetime | None = None) -> list[dict]:
        """What a look posts."""
        before = len(self.hook.taken)
        now = now or dt.datetime.now(SHANGHAI)
        send = partial(post, self.hook.url)
        self.cursor = look(self.instance, ["labels", "trades"], self.cursor, now, send, self.log.append)
        return [notice for _, notice in self.hook.taken[before:]]

    def begins(self, seconds: float) -> None:
        """Let the present period begin so many seconds from now, as if that evening were then."""
        begin = dt.datetime.now(SHANGHAI).timestamp() + seconds
        self.cursor = json.dumps(json.loads(self.cursor) | {"since": begin})


@pytest.fixture
def watch(instance, hook):
    return Watch(instance, hook)


def test_the_first_failure_is_posted_at_once(watch):
    run = fail(watch.instance, "2023-02-03")
    (notice,) = watch()
    assert notice["text"].startswith("daily_after_close failed for 2023-02-03: ")
    assert "step trades failed" in notice["text"]
    assert (notice["run_id"], notice["partition"]) == (run, "2023-02-03")
    assert watch.hook.taken[-1][0] == f"/services/{TOKEN}"
    assert watch() == []


def test_a_flood_of_failures_is_two_messages(watch):
    ids = [fail(watch.instance, f"2023-02-{day:02d}") for day in range(1, 26)]
    assert len(watch()) == 1
    assert watch() == []
    (notice,) = watch(evening())
    assert notice["failed_runs"] == 25
    assert len(notice["failed"]) == LISTED
    assert {f["run_id"] for f in notice["failed"]} <= set(ids)
    lines = notice["text"].splitlines()
    assert lines[0].endswith(": 25 runs failed")
    assert lines[-1] == "and 5 more runs: the UI lists them"
    assert watch(evening()) == []
    assert len([line for line in watch.log if "failed for" in line]) == 25  # the log has each


def test_a_single_failure_is_not_posted_twice(watch):
    fail(watch.instance, "2023-02-03")
    assert len(watch()) == 1
    assert watch(evening()) == []


def test_a_new_day_has_a_first_failure_of_its_own(watch):
    fail(watch.instance, "2023-02-03")
    watch()
    watch(evening())
    watch.begins(-1)
    fail(watch.instance, "2023-02-06")
    (notice,) = watch()
    assert notice["partition"] == "2023-02-06"


@pytest.mark.parametrize("before", [[], ["2023-02-01", "2023-02-02"]])
def test_a_failure_that_is_stored_late_is_not_lost(watch, before):
    for day in before:
        fail(watch.instance, day)
    watch()
    assert len(watch(evening())) == bool(before)
    watch.begins(60)
    fail(watch.instance, "2023-02-03")
    (notice,) = watch()
    assert notice["partition"] == "2023-02-03"
    assert watch() == []


def test_what_checks_find_is_in_the_days_message(watch):
    @dg.asset
    def labels() -> None: ...

    @dg.asset_check(asset=labels)
    def finite_share():
        return dg.AssetCheckResult(
            passed=False, severity=dg.AssetCheckSeverity.WARN, metadata={"bad_partitions": "2023-02-03, 2023-02-06"}
        )

    @dg.asset_check(asset=labels)
    def size_band():
        return dg.AssetCheckResult(passed=True)

    dg.materialize([labels, finite_share, size_band], instance=watch.instance)
    assert watch() == []
    (notice,) = watch(evening())
    assert notice["text"].splitlines()[1:] == ["labels: finite_share (warn) in 2023-02-03, 2023-02-06"]
    assert (notice["failed"], notice["failed_checks"]) == ([], 1)


def test_late_tables_are_in_the_days_message(watch):
    def found(table: str, state: FreshnessState) -> None:
        change = FreshnessStateChange(
            key=dg.AssetKey(table), new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=1.0
        )
        watch.instance._report_runless_asset_event(change)  # as Dagster's freshness daemon does

    for table in ("labels", "trades", "no_table_of_ours"):
        found(table, FreshnessState.FAIL)
    found("trades", FreshnessState.PASS)
    assert watch() == []
    (notice,) = watch(evening())
    assert notice["late"] == ["labels"]
    assert notice["text"].endswith(": 1 table late\nlate: labels")


def test_what_the_webhook_does_not_take_is_posted_again(watch):
    watch.hook.status = 503
    fail(watch.instance, "2023-02-03")
    watch()
    fail(watch.instance, "2023-02-06")
    assert len(watch()) == 1  # the next failure is attempted
    watch(evening())
    assert "answered 503" in watch.log[-1]
    watch.hook.status = 200
    (notice,) = watch(evening())
    assert notice["failed_runs"] == 2
    assert watch(evening()) == []


def test_failures_before_the_first_look_are_no_news(instance, hook):
    fail(instance, "2023-02-03")
    watch = Watch(instance, hook)
    assert watch() == []


def test_the_sensor_posts_to_the_webhook_of_the_settings(instance, hook, monkeypatch):
    monkeypatch.setattr(automation, "settings", lambda: settings().model_copy(update={"webhook": hook.url}))
    cursor = automation.failures.evaluate_tick(dg.build_sensor_context(instance)).cursor
    fail(instance, "2023-02-03")
    automation.failures.evaluate_tick(dg.build_sensor_context(instance, cursor=cursor))
    assert [path for path, _ in hook.taken] == [f"/services/{TOKEN}"]


UNUSABLE = [
    f"http://127.0.0.1:1/services/{TOKEN}",  # nobody listens
    f"http://127.0.0.1:99999/{TOKEN}",
    f"http://[::1/{TOKEN}",
    f"http://127.0.0.1:1/a b\n{TOKEN}",
    f"http://127.0.0.1:1/é{TOKEN}",
    f"http://user:{TOKEN}@127.0.0.1:1/",
    f"http://{TOKEN}:x@[/",
    f"http:///{TOKEN}",
]


@pytest.mark.parametrize("url", UNUSABLE)
def test_no_reason_shows_the_address_of_a_webhook(url):
    why = post(url, {"text": "x"})
    assert why.startswith("the webhook ")
    assert TOKEN not in why
    assert "\n" not in why


def test_the_sensor_alone_reads_the_address():
    package = Path(automation.__file__).parent
    readers = [p.name for p in package.rglob("*.py") if "().webhook" in p.read_text() or ".webhook\n" in p.read_text()]
    assert readers == ["automation.py"]


def test_neither_the_log_nor_tags_nor_the_cursor_have_it(watch, capfd, caplog):
    for status in (200, 500):
        watch.hook.status = status
        fail(watch.instance, "2023-02-03")
        watch()
    watch(evening())
    kept = [watch.cursor, *watch.log, caplog.text, *capfd.readouterr()]
    kept += [str(run.tags) for run in watch.instance.get_runs()]
    assert any("answered 500" in text for text in kept)
    assert [text for text in kept if TOKEN in text] == []


@pytest.mark.parametrize(("status", "reason"), [(302, "answered 302"), (404, "answered 404"), (200, "")])
def test_a_webhook_is_not_followed_elsewhere(hook, status, reason):
    hook.status = status
    assert post(hook.url, {"text": "x"}).endswith(reason)
    assert len(hook.taken) == 1
    assert bool(post(hook.url, {"text": "x"})) == bool(reason)
