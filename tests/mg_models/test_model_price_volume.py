"""The price-volume features against their definitions in pandas, and what must hold for any signal's input."""

import numpy as np
import pandas as pd
import pytest

from mg_models.catalog import get
from mg_models.dataset import Dataset
from mg_models.errors import DataError
from mg_models.labels import STYLES, neutral, transform
from mg_models.panel import Panel
from mg_models.price_volume import FEATURES, LOOK_BACK, price_volume_features, price_volume_panel

DAYS, STOCKS = 330, 24


@pytest.fixture(scope="module")
def bars(make) -> np.ndarray:
    daily = make.daily_bars(DAYS, STOCKS, seed=5, suspended=0.04)
    daily[100:135, 3] = np.nan  # not there for longer than a last close is remembered
    daily[300, :4, :5] = daily[300, :4, 3:4]  # one price all day
    daily[299, 5:8, 5] = 0.0
    return daily


def twin(daily: np.ndarray, day: int, stock: int) -> dict[str, float]:
    """One stock's features on one day, each from its definition."""
    traded = np.isfinite(daily).all(-1) & (daily[..., 5] > 0)

    def frame(s: int) -> pd.DataFrame:
        f = pd.DataFrame(daily[: day + 1, s], columns=["o", "h", "l", "c", "v", "V"])
        f.loc[~traded[: day + 1, s]] = np.nan
        f["last"] = f["c"].ffill(limit=19).shift(1)
        f["r"] = f["c"] / f["last"] - 1
        return f

    market = pd.concat([frame(s)["r"] for s in range(daily.shape[1])], axis=1).mean(axis=1)
    f = frame(stock).assign(m=market)
    f["a"] = np.log(f.v * f.V)
    f["u"] = np.log(1 + f.V / f.V.shift(1))
    f["g"] = f.r.abs() / (f.v * f.V)
    now = f.iloc[-1]
    width = now.h - now.l
    body = {"kmid2": now.c - now.o, "kup2": now.h - max(now.o, now.c), "klow2": min(now.o, now.c) - now.l}
    out = {k: (x / width if width > 0 else 0.0) for k, x in body.items()}
    out |= {"kmid": now.c / now.o - 1, "klen": width / now.o, "ksft": (2 * now.c - now.h - now.l) / now.o}
    out |= {"vwap": now.v / now.c, "ret": now.r, "gap": now.o / now["last"] - 1}
    for w in (5, 20, 60):
        x = f.iloc[-w:]
        live = x[x.c.notna()]
        t = live.index.to_numpy(float)
        slope, level = np.polyfit(t, live.c, 1)
        line = level + slope * t
        step = live.V.diff().dropna()
        part = {
            "roc": f.c.iloc[-w - 1] / now.c, "ma": live.c.mean() / now.c, "std": live.c.std(ddof=0) / now.c,
            "slope": slope / now.c, "rsqr": 1 - ((live.c - line) ** 2).sum() / ((live.c - live.c.mean()) ** 2).sum(),
            "resi": (now.c - line[-1]) / now.c, "max": live.h.max() / now.c, "min": live.l.min() / now.c,
            "rsv": (now.c - live.l.min()) / (live.h.max() - live.l.min()),
            "corr": np.corrcoef(live.c, np.log(live.V))[0, 1], "cord": x.r.corr(x.u), "vma": live.V.mean() / now.V,
            "vstd": live.V.std(ddof=0) / now.V, "vsum": step.clip(lower=0).sum() / step.abs().sum(),
            "sum": x.r.clip(lower=0).sum() / x.r.abs().sum(),
        }  # fmt: skip
        out |= {f"{k}_{w}": v for k, v in part.items()}
    for w in (20, 60, 120):
        x = f.iloc[-w:][["r", "m"]].dropna()
        beta, alpha = np.polyfit(x.m, x.r, 1)
        out |= {f"beta_{w}": beta, f"alpha_{w}": alpha, f"idio_{w}": (x.r - alpha - beta * x.m).std(ddof=0)}
    mean = {w: f.a.iloc[-w:].mean() for w in (5, 20, 60, 120, 240)}
    out |= {"amount_20": mean[20], "amount_120": mean[120], "amount_std_20": f.a.iloc[-20:].std(ddof=0)}
    out |= {"amount_5_60": mean[5] - mean[60], "amount_20_240": mean[20] - mean[240]}
    out |= {f"illiq_{w}": np.log(f.g.iloc[-w:].mean()) for w in (20, 60)}
    out |= {f"mom_{w}": now.c / f.c.iloc[-w - 1] - 1 for w in (120, 240)}
    out["mom_240_20"] = f.c.iloc[-21] / f.c.iloc[-241] - 1
    out |= {f"high_{w}": now.c / f.h.iloc[-w:].max() for w in (120, 240)}
    return out | {f"vol_{w}": f.r.iloc[-w:].std(ddof=0) for w in (120, 240)}


@pytest.mark.parametrize("day", [300, 329])
def test_every_feature_is_its_definition(bars, day):
    got = price_volume_features(bars, np.array([day]))[0]
    live = [s for s in range(STOCKS) if bars[day, s, 5] > 0]
    assert len(live) > 15
    for s in live:
        expected = twin(bars, day, s)
        assert set(expected) == set(FEATURES)
        np.testing.assert_allclose(got[s], [expected[n] for n in FEATURES], rtol=2e-5, atol=2e-6, err_msg=str(s))


def test_who_does_not_trade_has_no_features_and_a_short_history_few(bars):
    got = price_volume_features(bars, np.array([30, 299]))
    idle = ~(bars[299, :, 5] > 0)
    assert idle.any()
    assert np.isnan(got[1][idle]).all()
    known = np.isfinite(got[0][bars[30, :, 5] > 0]).any(0)
    assert known[FEATURES.index("std_20")]
    assert not known[FEATURES.index("std_60")]
    assert not known[FEATURES.index("mom_120")]


def test_a_day_alone_is_as_in_all_days_whatever_comes_after(bars, make):
    days, names = make.weekdays(DAYS), make.names(STOCKS)
    whole = price_volume_panel(days, names, bars)
    at = 310
    then = slice(at - LOOK_BACK, at + 1)
    alone = price_volume_panel(days[then], names, bars[then], np.array([LOOK_BACK]))
    np.testing.assert_array_equal(alone.values[-1], whole.values[at])
    changed = bars.copy()
    changed[at + 1 :] *= 7
    np.testing.assert_array_equal(price_volume_panel(days, names, changed).values[: at + 1], whole.values[: at + 1])


def test_prices_in_another_unit_and_stocks_in_another_order(bars):
    rows = np.array([320])
    whole = price_volume_features(bars, rows)
    split = bars.copy()
    split[..., :5] *= 8.0  # an adjustment factor with another base
    split[..., 5] /= 8.0
    np.testing.assert_allclose(price_volume_features(split, rows), whole, rtol=1e-5, atol=1e-6)
    order = np.random.default_rng(0).permutation(STOCKS)
    np.testing.assert_array_equal(price_volume_features(bars[:, order], rows), whole[:, order])


def test_a_panel_is_standardised_per_day(bars, make):
    panel = price_volume_panel(make.weekdays(DAYS), make.names(STOCKS), bars, np.array([250, 320]))
    assert np.isnan(panel.values[[0, 249, 321]]).all()
    section = panel.values[320][bars[320, :, 5] > 0]
    assert np.isfinite(section).all()
    assert np.abs(section).max() <= 3
    np.testing.assert_allclose(section[:, FEATURES.index("amount_20")].mean(), 0, atol=0.1)


def test_bars_of_another_shape_are_refused(bars):
    with pytest.raises(DataError, match=r"daily must be \(days, stocks, 6\)"):
        price_volume_features(bars[..., :5], np.array([0]))


def test_a_neutral_label_has_nothing_of_the_styles():
    rng = np.random.default_rng(1)
    styles = rng.standard_normal((300, 3))
    label = 0.3 * styles @ np.array([[1.0], [-1.0], [0.5]]) + rng.standard_normal((300, 1))
    got = neutral(label, styles)
    np.testing.assert_allclose(styles.T @ got / 300, np.outer(styles.mean(0), got.mean(0)), atol=1e-12)
    np.testing.assert_allclose([got.mean(), got.std()], [0, 1], atol=1e-12)


def test_a_neutral_label_is_what_the_dataset_hands_out(bars, make):
    days, names = make.weekdays(DAYS), make.names(STOCKS)
    panel = price_volume_panel(days, names, bars, np.array([320]))
    returns = np.random.default_rng(2).standard_normal((DAYS, STOCKS))
    returns[320, :3] = np.nan
    data = Dataset(get("price_volume_neutral_mlp"), {"price_volume": panel}, returns)
    rows = data.rows(320)
    rows = rows[np.isfinite(returns[320, rows])]
    plain = transform("normal_rank", returns[320, rows, None])
    expected = neutral(plain, panel.values[320][np.ix_(rows, [FEATURES.index(s) for s in STYLES])])
    np.testing.assert_allclose(data.batch([320]).label.numpy(), expected, atol=1e-6)
    other = Panel(days, names, panel.values[..., :2], ("a", "b"))
    with pytest.raises(DataError, match=r"needs the features \['amount_20'"):
        Dataset(get("price_volume_neutral_mlp"), {"price_volume": other}, returns)
