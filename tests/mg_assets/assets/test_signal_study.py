"""The signal study from the lake: figures, correlations, what is not trained, and when it is stale."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mg_assets.assets import TABLES
from mg_assets.assets import signal_study as module
from mg_assets.assets.evaluation import evaluation_universe
from mg_assets.assets.models import SIGNALS
from mg_assets.evaluation import SignalColumn, evaluate_signals
from mg_assets.factors.style_factors import COMMON
from mg_assets.lake.market_data import market_data
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.partition_build import Build
from mg_assets.sources import build_source
from mg_models.catalog import signal_names
from mg_portfolio.evaluation.cases import Case
from mg_portfolio.report.signal_study.layouts import COMMON_FACTORS, SIGNAL_TABLES
from mg_portfolio.report.signal_study.measures import FEW_DAYS, NOT_TRAINED

DAYS = [str(d) for d in trading_days("2022-09-01", "2022-12-30")]
STARTS = {"hf_gru": 10, "lf_multitask": 0, "fused": 70}  # fused: too few days
EMPTY = "hf_icir_weight"  # partitions that say why there are no scores


class Source:
    name = "a test market"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    source = build_source("simulated", {"stocks": 80, "tick_start": "2023-01-03"})
    for day in DAYS:
        for table in ("daily_bars", "reference", "planted_signal"):
            lake.write(table, day, source.load(table, dt.date.fromisoformat(day)).frame)
    symbols = market_data(lake, DAYS).symbols
    rng = np.random.default_rng(4)
    for d, day in enumerate(DAYS):
        planted = lake.day("planted_signal", day).set_index("symbol")["signal"].reindex(symbols).to_numpy()
        cap = rng.normal(size=len(symbols))
        for name, start in STARTS.items():
            if d < start:
                continue
            score = planted + rng.normal(size=len(symbols)) + (0.5 * cap if name == "hf_gru" else 0)
            score[rng.random(len(symbols)) < 0.05] = np.nan
            lake.write(name, day, pd.DataFrame({"symbol": symbols, "score": score}))
        lake.write(
            EMPTY, day, pd.DataFrame({"symbol": pd.Series([], dtype="str"), "score": pd.Series([], dtype=float)})
        )
        common = pd.DataFrame({"symbol": symbols, **{c: rng.normal(size=len(symbols)) for c in COMMON}})
        lake.write("common_factors", day, common.assign(cap=cap))
    return lake


def build(lake, workers=1):
    return Build([WHOLE], lake, lambda: Source, workers, lambda: "cpu", print)


def seal(lake, table, made):
    lake.write(table, WHOLE, made.frame, TABLES.provenance(lake, table, WHOLE) | made.stored)


@pytest.fixture(scope="module")
def built(lake):
    out = {}
    for asset in (module.signal_correlations, module.signal_study):
        for made in asset.make(build(lake)):
            table = made.table or asset.tables[0]
            out[table] = made
            seal(lake, table, made)
    return out


def test_models_of_the_tables_are_signals_of_the_catalog():
    subjects = {row.subject for layout in SIGNAL_TABLES for row in layout.rows}
    assert subjects <= set(signal_names())
    assert COMMON_FACTORS == COMMON


def test_rank_ic_is_the_naive_one(lake, built):
    cells = built["signal_study"].frame
    overview = cells[(cells["table"] == "signals") & (cells["metric"] == "rank_ic_mean")].set_index("subject")
    market = market_data(lake, DAYS)
    inside = evaluation_universe(market)
    price = pd.DataFrame(market.vwap)
    later = (price.ffill().shift(-6) / price.shift(-1) - 1).to_numpy(copy=True)
    later[len(later) - 6 :] = np.nan
    for name in ("lf_multitask", "hf_gru", "planted_signal"):
        start = STARTS.get(name, 0)
        daily = np.full(len(DAYS), np.nan)
        for d, day in enumerate(DAYS[start:], start):
            column = "signal" if name == "planted_signal" else "score"
            score = lake.day(name, day).set_index("symbol")[column].reindex(market.symbols).to_numpy()
            both = inside[d] & np.isfinite(score) & np.isfinite(later[d])
            if both.sum() >= 30:
                daily[d] = spearmanr(score[both], later[d][both])[0]
        tracks = [np.nanmean(daily[start + track :: 5]) for track in range(5)]
        assert overview.loc[name, "ours"] == pytest.approx(np.mean(tracks), abs=1e-12)
        assert overview.loc[name, ["first_day", "last_day"]].tolist() == [DAYS[start], DAYS[-1]]
    assert overview.loc["lf_multitask", "published"] == 0.1044
    assert overview.loc[["fused", EMPTY], "why"].tolist() == [FEW_DAYS, FEW_DAYS]
    assert np.isnan(overview.loc["planted_signal", "published"])


def test_figures_of_series_72_are_the_evaluations(lake, built):
    """One name, one figure: the study takes the same days, layers and track as the evaluation of signals."""
    columns = {name: SignalColumn(name, "score") for name in ("lf_multitask", "hf_gru")}
    result = evaluate_signals(lake, columns, groups=10, rebalance="weekly", plan=[Case()])
    cells = built["signal_study"].frame
    for row in result.published:
        cell = cells[(cells["subject"] == row["name"]) & (cells["metric"] == row["metric"])]
        cell = cell[cell["table"] == row["table"]].iloc[0]
        assert cell["one_track"] == pytest.approx(row["one_track"], abs=1e-12, nan_ok=True), row
        assert cell["ours"] == pytest.approx(row["mean"], abs=1e-12)
        assert cell["track_std"] == pytest.approx(row["std"], abs=1e-12)
        assert (cell["first_day"], cell["published"]) == (row["first_day"], row["published"])
    assert {row["name"] for row in result.published} == set(columns)


def test_curves_end_at_the_figures(built):
    cells, curves = (built[t].frame for t in ("signal_study", "signal_study_curves"))
    own = cells[(cells["table"] == "signals") & (cells["metric"] == "rank_ic_mean")].set_index("subject")
    for name, lines in curves.groupby("subject"):
        assert (lines["date"].iloc[0], lines["date"].iloc[-1]) == tuple(own.loc[name, ["first_day", "last_day"]])
        count = lines["rank_ic"].notna().sum()
        assert lines["cumulative_rank_ic"].iloc[-1] == pytest.approx(lines["rank_ic"].mean() * count / 5, abs=1e-12)
        assert lines["rank_ic"].mean() == pytest.approx(own.loc[name, "ours"], abs=0.01)
        assert lines["top_relative_nav"].dropna().iloc[0] == 1.0


def test_what_the_deployment_has_not_is_named(built):
    cells = built["signal_study"].frame
    lacking = set(cells.loc[cells["why"] == NOT_TRAINED, "subject"])
    assert "mtl_mlp_10d" in lacking
    assert (cells["ours"].isna() == (cells["why"] != "")).all()
    assert not lacking & set(SIGNALS)
    assert {row.subject for x in SIGNAL_TABLES for row in x.rows} - set(SIGNALS) == lacking
    facts = built["signal_study"].metadata
    subjects = {row.subject for x in SIGNAL_TABLES for row in x.rows}
    assert facts["models of the reports' tables"] == f"{len(subjects & set(SIGNALS))} of {len(subjects)}"
    assert "| not trained here: add `alstm` to `catalog` |" in facts["huatai_69_chart_22"].value
    assert "data:image/png;base64," in facts["RankIC"].value


def test_correlations_are_the_naive_ones_whatever_the_stretch(lake, built, monkeypatch):
    frame = built["signal_correlations"].frame.set_index("name")
    assert list(frame.columns) == ["hf_gru", "lf_multitask", "planted_signal", *COMMON]
    market = market_data(lake, DAYS)
    inside = evaluation_universe(market)
    daily = []
    for d, day in enumerate(DAYS[STARTS["hf_gru"] :], STARTS["hf_gru"]):
        pair = lake.day("hf_gru", day).merge(lake.day("common_factors", day)[["symbol", "cap"]])
        pair = pair.set_index("symbol").reindex(market.symbols)[inside[d]].dropna()
        if len(pair) >= 30:
            daily.append(spearmanr(pair["score"], pair["cap"])[0])
    assert frame.loc["hf_gru", "cap"] == pytest.approx(np.mean(daily), abs=1e-12)
    assert frame.loc["hf_gru", "cap"] > 0.2 > abs(frame.loc["hf_gru", "beta"])
    monkeypatch.setattr(module, "CHUNK", 7)
    names, again, days = module.mean_correlations(lake, workers=2)
    assert names == list(frame.columns)
    np.testing.assert_allclose(again, frame.to_numpy(), atol=1e-12)
    assert days == built["signal_correlations"].metadata["days"]
    assert 70 <= days < len(DAYS)


def test_pages_stand_beside_the_table(lake, built):
    folder = Path(lake.folder("signal_study", WHOLE))
    for lang in ("en", "zh"):
        text = (folder / f"signal_study_{lang}.html").read_text()
        assert "a test market" in text
        assert DAYS[0] in text
        assert "<svg" in text
        assert 'src="http' not in text
    assert lake.keys("signal_study") == [WHOLE]


def test_workers_and_parts_change_nothing(lake, built, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 1)  # a signal at a time
    for again in module.signal_study.make(build(lake, workers=2)):
        seal(lake, again.table, again)  # of the pages just written, which say when
        pd.testing.assert_frame_equal(again.frame, built[again.table].frame, check_exact=True)


def test_a_changed_day_makes_it_stale(lake, built):
    tables = ("signal_correlations", "signal_study")
    assert [TABLES.stale(lake, None, t, [WHOLE]) for t in tables] == [[], []]
    lake.write("hf_gru", DAYS[-1], lake.day("hf_gru", DAYS[-1]))
    assert [TABLES.stale(lake, None, t, [WHOLE]) for t in tables] == [[], []]  # the same content again
    lake.write("hf_gru", DAYS[-1], lake.day("hf_gru", DAYS[-1]).assign(score=0.0))
    assert [TABLES.stale(lake, None, t, [WHOLE]) for t in tables] == [[WHOLE], [WHOLE]]


def test_a_lake_without_signals_says_so(tmp_path):
    lake = Lake(tmp_path)
    (none,) = module.signal_correlations.make(build(lake))
    lake.write("signal_correlations", WHOLE, none.frame, none.stored)
    study, curves = module.signal_study.make(build(lake))
    assert curves.frame.empty
    assert none.metadata["absent"] == study.metadata["absent"] == "no signal has 30 days"
    assert set(study.frame["why"]) == {FEW_DAYS, NOT_TRAINED}
    assert study.frame["ours"].isna().all()
