"""Known effects of the A-share market on real prices: 300 stocks, 2020 to 2023."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mg_portfolio.evaluation.evaluate import evaluate, forward_returns, ic_decay, signal_correlations, tradable_next_day


@pytest.fixture(scope="module")
def market(shared_data):
    path = shared_data / "daily_baostock_300_2020_2023" / "daily.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    columns = ["date", "code", "high", "low", "close", "preclose", "volume", "amount", "turn", "tradestatus", "isST"]
    rows = pd.read_parquet(path, columns=columns)
    tables = {name: rows.pivot(index="date", columns="code", values=name).astype(float) for name in columns[2:]}
    traded = (tables["tradestatus"] == 1) & (tables["volume"] > 0)
    ret = (tables["close"] / tables["preclose"] - 1).where(traded, 0.0)
    adjusted = (1 + ret.fillna(0)).cumprod()
    vwap = (tables["amount"] / tables["volume"] / tables["close"] * adjusted).where(traded)
    locked = traded & (tables["high"] == tables["low"]) & (ret > 0.045)
    listed = tables["close"].notna()
    inside = tradable_next_day(
        listed.cumsum().where(listed).to_numpy() + 100.0,
        (tables["isST"] == 1).to_numpy(),
        (~traded).to_numpy(),
        locked.to_numpy(),
    )
    return {
        "days": tables["close"].index.to_numpy("datetime64[D]"),
        "price": vwap.to_numpy(),
        "universe": inside,
        "reversal": ret.rolling(21).sum().to_numpy(),
        "turnover": tables["turn"].rolling(21, min_periods=13).mean().to_numpy(),
        "noise": np.random.default_rng(0).standard_normal(ret.shape),
    }


def evaluated(market, name, **options):
    return evaluate(market[name], market["price"], market["universe"], market["days"], **options)


def test_low_turnover_and_reversal_pay_and_noise_does_not(market):
    turnover = evaluated(market, "turnover", direction=-1, groups=5)
    reversal = evaluated(market, "reversal", direction=-1, groups=5)
    noise = evaluated(market, "noise", groups=5)
    assert turnover.summary["rank_ic_mean"] > 0.02
    assert reversal.summary["rank_ic_mean"] > 0.01
    assert abs(noise.summary["rank_ic_mean"]) < 0.01
    assert ((noise.layer_nav[:, -1] > 0.8) & (noise.layer_nav[:, -1] < 1.25)).all()


def test_every_day_equals_scipy(market):
    found = evaluated(market, "turnover")
    forward = forward_returns(market["price"], 5)
    for d in range(30, len(market["days"]) - 6, 25):
        at = market["universe"][d] & np.isfinite(market["turnover"][d]) & np.isfinite(forward[d])
        expected = stats.spearmanr(market["turnover"][d, at], forward[d, at])[0]
        assert found.rank_ic[d] == pytest.approx(expected, abs=1e-12)


def test_navs_are_whole_and_the_layers_average_to_the_universe(market):
    found = evaluated(market, "turnover", groups=5)
    held = found.portfolios
    start = np.flatnonzero(np.isfinite(held.gross[:, held.index("universe")]).all(axis=0))[0]
    assert np.isfinite(held.gross[:, :, start:]).all()
    assert (held.gross[:, :, start:] > 0).all()
    # From one purchase to the next the universe is the layers weighted by their counts, which differ by one at most
    moves = held.gross[0, :, start + 1 :] / held.gross[0, :, start:-1] - 1
    np.testing.assert_allclose(moves[:5].mean(axis=0), moves[held.index("universe")], atol=2e-3)
    assert set(found.skipped) <= {"too few stocks with a signal"}  # the window's first days
    assert found.exclusions["date"].max() < pd.Timestamp(market["days"][21])


def test_signals_correlate_with_themselves_alone(market):
    found = signal_correlations({name: market[name] for name in ("reversal", "turnover", "noise")}, market["universe"])
    np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-12)
    assert found[0, 1] > 0.1  # what rose was traded
    assert abs(found[:2, 2]).max() < 0.01


def test_turnover_decays_slowly(market):
    decay = ic_decay(-market["turnover"], market["price"], market["universe"])
    assert list(decay) == list(range(1, 21))
    assert np.mean([decay[lag] for lag in range(16, 21)]) > 0
