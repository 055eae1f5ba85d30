"""What-if on a small lake: reads what was decided, writes nothing."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import mg_assets
from mg_assets.assets.portfolio_metadata import mean_shadow_prices
from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.market.schema import SCHEMAS
from mg_assets.portfolios.what_if import parse_changes, room_gains, what_if
from mg_assets.settings import Settings
from mg_portfolio import optimize
from mg_portfolio.catalog import PORTFOLIOS
from mg_portfolio.optimization.build_problem import build_problem, on_axis

NAME = "csi500_turnover30"
TABLE = f"weights_{NAME}"
N = 120
WEEKS = 14


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Fourteen weeks of weights, decided on Fridays; from the tenth on the return per unit of score is 0.3%."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    r = np.random.default_rng(1)
    symbols = np.array([f"{600000 + i}.SH" for i in range(N)], dtype=object)
    benchmark = np.where(np.arange(N) < 60, r.lognormal(0, 0.4, N), 0.0)
    benchmark /= benchmark.sum()
    industry = r.choice(["Banks", "Steel", "Media", "Coal"], N)
    size = r.standard_normal(N)
    st = np.arange(N) % 17 == 5
    holdings = benchmark.copy()
    spec = PORTFOLIOS[NAME]
    for week in range(WEEKS):
        monday = np.datetime64("2023-01-02") + 7 * week
        decided = str(monday + 4)
        score = r.standard_normal(N)
        codes, names = pd.factorize(industry, sort=True)
        flags = {name: r.random(N) < 0.02 for name in ("suspended", "limit_up", "limit_down")}
        problem = build_problem(
            spec, score, benchmark, holdings, codes, {"size": size}, member=benchmark > 0, buyable=~st,
            symbols=symbols, industry_names=dict(enumerate(map(str, names))), **flags,
        )  # fmt: skip
        solution = optimize(problem)
        rows = {
            "symbol": symbols,
            "score": score,
            "benchmark": benchmark,
            "holdings": holdings,
            "weight": on_axis(problem, solution.weights, N),
            "member": benchmark > 0,
            "industry": industry,
            "size": size,
            **flags,
        }
        lake.write(
            TABLE,
            str(monday),
            pd.DataFrame(rows),
            {
                "decided": decided,
                "shadow_prices": solution.shadow_prices,
                "return_per_score": 0.003 if week >= 10 else None,
            },
        )
        reference = {"symbol": symbols, "st": st, "industry": industry}
        lake.write("reference", decided, _whole("reference", reference))
        for day in range(5):
            lake.write("daily_bars", str(monday + day), _whole("daily_bars", {"symbol": symbols}))
        holdings = on_axis(problem, solution.weights, N) * np.exp(0.03 * r.standard_normal(N))
        holdings /= holdings.sum()
    return lake


def _whole(table: str, known: dict) -> pa.Table:
    """A table with every column of the schema, null where none is given."""
    columns = {
        field.name: pa.array(known[field.name], field.type) if field.name in known else pa.nulls(N, field.type)
        for field in SCHEMAS[table]
    }
    return pa.table(columns)


def snapshot(lake: Lake) -> dict[str, tuple[int, int]]:
    return {
        os.path.join(folder, name): (
            os.stat(os.path.join(folder, name)).st_mtime_ns,
            os.stat(os.path.join(folder, name)).st_size,
        )
        for folder, _, names in os.walk(lake.root)
        for name in names
    }


def test_the_unchanged_side_is_the_stored_portfolio(lake):
    key = lake.keys(TABLE)[-1]
    stored = lake.day(TABLE, key)
    before = snapshot(lake)
    c = mg_assets.what_if(NAME, lake=lake, turnover_limit=0.3)
    assert snapshot(lake) == before
    weight = stored.set_index("symbol")["weight"]
    shown = c.weights.set_index("symbol")
    assert shown["before"].to_numpy() == pytest.approx(weight[shown.index].to_numpy(), abs=1e-9)
    assert c.solution_before.shadow_prices == pytest.approx(lake.metadata(TABLE, key)["shadow_prices"])
    assert c.summary.loc["score", "change"] > 0
    assert c.summary.loc["turnover_one_way", "after"] > c.summary.loc["turnover_one_way", "before"]
    assert "turnover_limit 0.15 to 0.3" in c.title


def test_the_return_per_score_is_the_weeks_own(lake):
    c = what_if(NAME, lake=lake, stock_limit=0.01)
    assert c.return_per_score == 0.003
    assert "expected_excess_bp_a_year" in c.summary.index
    assert what_if(NAME, lake.keys(TABLE)[5], lake, stock_limit=0.01).return_per_score is None  # too few before it


def test_room_earns_what_the_week_solved_again_earns(lake):
    key = lake.keys(TABLE)[-1]
    gains = room_gains(lake, PORTFOLIOS[NAME], lake.day(TABLE, key), lake.metadata(TABLE, key))
    again = what_if(NAME, key, lake, turnover_limit=0.16).summary.loc["score", "change"]  # 0.15 and the usual step
    assert gains["turnover"] == pytest.approx(again, rel=1e-6)
    assert list(gains.values()) == sorted(gains.values(), reverse=True)
    assert "budget" not in gains


def test_prices_of_weeks_with_relaxed_limits_are_left_out():
    sound = {"shadow_prices": {"turnover": 4.0}, "return_per_score": 0.002}
    relaxed = {"shadow_prices": {"turnover": 9000.0}, "return_per_score": 0.002, "relaxed": {"industry[Coal]": 0.01}}
    table = mean_shadow_prices(PORTFOLIOS[NAME], [sound, relaxed, sound])
    assert table.loc["turnover", ["weeks", "at_price"]].tolist() == [2, pytest.approx(0.04)]
    assert mean_shadow_prices(PORTFOLIOS[NAME], [relaxed]).empty


def test_any_day_of_the_week_will_do(lake):
    key = lake.keys(TABLE)[3]
    by_key = what_if(NAME, key, lake, stock_limit=0.01)
    by_day = what_if(NAME, str(np.datetime64(key) + 3), lake, stock_limit=0.01)
    assert by_key.summary.equals(by_day.summary)
    assert str(np.datetime64(key) + 4) in by_day.title


def test_each_kind_of_change(lake):
    c = what_if(
        NAME, lake=lake, style_limits={"size": None}, room={"industry[Banks]": 0.05}, member_floor=None, cost=0.2,
        industry_limit=0.01,
    )  # fmt: skip
    e = c.exposures
    assert np.isnan(e.loc["members", "limit_after"])
    assert e.loc["industry[Banks]", "limit_after"] == pytest.approx(0.06)
    assert e.loc["industry[Coal]", "limit_after"] == pytest.approx(0.01)
    assert "style[size]" not in c.solution_after.shadow_prices
    assert c.after.cost == 0.2
    assert c.solution_after.largest_violation < 1e-9


def test_texts_are_parsed_to_changes():
    assert parse_changes(["turnover_limit=0.25", "size=0.1", " industry[Banks] = 0.01", "stock_limit=none"]) == {
        "turnover_limit": 0.25,
        "stock_limit": None,
        "style_limits": {"size": 0.1},
        "room": {"industry[Banks]": 0.01},
    }
    for text in ("turnover_limit", "turnover_limit=much", "=3"):
        with pytest.raises(DataError, match="change"):
            parse_changes([text])


BAD = [
    (lambda lake: what_if("nobody", lake=lake, cost=1.0), "there is no portfolio .nobody."),
    (lambda lake: what_if("csi1000_turnover30", lake=lake, cost=1.0), "has no weeks"),
    (lambda lake: what_if(NAME, "2031-01-01", lake, cost=1.0), "has no week of 2031-01-01"),
    (lambda lake: what_if(NAME, lake=lake), "nothing was changed"),
    (lambda lake: what_if(NAME, lake=lake, turn=0.1), "'turn' is no limit"),
    (lambda lake: what_if(NAME, lake=lake, style_limits=0.1), "expected a style and its limit"),
    (lambda lake: what_if(NAME, lake=lake, style_limits={"value": 0.1}), "no exposures to 'value'"),
    (lambda lake: what_if(NAME, lake=lake, room={"industry[Gold]": 0.1}), "does not limit"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[m for _, m in BAD])
def test_a_change_that_cannot_be_compared_is_an_error(lake, call, message):
    with pytest.raises(DataError, match=message):
        call(lake)


def test_a_week_that_other_limits_made_is_refused(lake, tmp_path):
    other = Lake(tmp_path)
    key = lake.keys(TABLE)[-1]
    facts = lake.metadata(TABLE, key)
    rows = lake.day(TABLE, key)
    rows["weight"] = rows["benchmark"]
    other.write(TABLE, key, rows, facts)
    other.write("reference", facts["decided"], lake.day("reference", facts["decided"]))
    with pytest.raises(DataError, match="materialise the week again"):
        what_if(NAME, lake=other, stock_limit=0.01)


def test_the_command_prints_and_writes_a_page(lake, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mg_assets.portfolios.what_if.settings", lambda: Settings(lake=str(lake.root)))
    page = tmp_path / "page.html"
    from mg_assets.cli.main import main

    assert main(["what-if", NAME, "size=0", "--html", str(page)]) == 0
    assert "size 0.2 to 0" in capsys.readouterr().out
    assert "<svg" in page.read_text(encoding="utf-8")
    assert main(["what-if", NAME, "size"]) == 2
    assert "name=value" in capsys.readouterr().err


def test_the_job_shows_the_comparison_in_the_runs_metadata(lake):
    from mg_assets.assets.what_if import what_if_job
    from mg_assets.orchestration.resources import LakeResource

    before = snapshot(lake)
    asked = {"ops": {"compare_portfolios": {"config": {"portfolio": NAME, "changes": ["turnover_limit=0.3"]}}}}
    run = what_if_job.execute_in_process(run_config=asked, resources={"lake": LakeResource(root=str(lake.root))})
    assert run.success
    (output,) = [e for e in run.all_node_events if e.event_type_value == "STEP_OUTPUT"]
    shown = output.step_output_data.metadata
    assert set(shown) == {"question", "summary", "weights", "exposures", "shadow_prices", "plot"}
    assert "turnover_one_way" in shown["summary"].value
    assert shown["plot"].value.startswith("![](data:image/png")
    assert snapshot(lake) == before
    asked["ops"]["compare_portfolios"]["config"]["changes"] = ["nothing"]
    failed = what_if_job.execute_in_process(
        run_config=asked, resources={"lake": LakeResource(root=str(lake.root))}, raise_on_error=False
    )
    assert not failed.success
