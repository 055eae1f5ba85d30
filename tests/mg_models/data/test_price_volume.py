"""The price-volume features against their definitions in pandas, and what must hold for any signal's input."""

import numpy as np
import pandas as pd
import pytest
import torch

from mg_models.catalog import get, override
from mg_models.data.dataset import Dataset
from mg_models.data.label_transforms import STYLES, neutral, transform
from mg_models.data.panel import Panel
from mg_models.data.price_volume import COMMON_WINDOWS, FEATURES, LOOK_BACK, price_volume_features, price_volume_panel
from mg_models.errors import InputError
from mg_models.networks.mlp import Mlp
from mg_models.training.retrain import plan_training, train

DAYS, STOCKS = 330, 24
OWN = FEATURES[: -len(COMMON_WINDOWS)]
"""Those that a stock's own bars (and the market) are enough for."""


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
    out |= {f"vol_{w}": f.r.iloc[-w:].std(ddof=0) for w in (120, 240)}
    f["n"], f["b"] = f.o / f["last"] - 1, f.h / f.l - 1
    out |= {f"night_{w}": f.n.iloc[-w:].mean() for w in (5, 20, 60)} | {"night_abs_20": f.n.iloc[-20:].abs().mean()}
    for w in (20, 60, 120):
        x = f.iloc[-w:].assign(share=f.V.iloc[-w:] / f.V.iloc[-w:].mean())
        pairs = {"range_by_close": "bc", "ret_by_range": "rb", "ret_by_volume": "rV", "range_by_volume": "bV"}
        apart = {k: quarters(x[list(p)]) for k, p in pairs.items()} | {"volume_by_close": quarters(x[["share", "c"]])}
        out |= {f"{k}_{w}": v for k, v in apart.items() if w < 120 or k == "ret_by_range"}
    return out


def quarters(x: pd.DataFrame) -> float:
    """Mean of the first column where the second is highest less where it is lowest."""
    known = x.dropna()
    known = known.sort_values(known.columns[1], kind="stable").iloc[:, 0]
    return known.iloc[-(len(known) // 4) :].mean() - known.iloc[: len(known) // 4].mean()


def common(daily: np.ndarray, day: int) -> dict[int, pd.DataFrame]:
    """Each stock's common returns on one day by number of stocks: from the correlation matrix of the stocks."""
    traded = np.isfinite(daily).all(-1) & (daily[..., 5] > 0)
    close = pd.DataFrame(np.where(traded, daily[..., 3], np.nan)).iloc[: day + 1]
    returns = close / close.ffill(limit=19).shift(1) - 1
    excess = returns.clip(-0.11, 0.11).sub(returns.mean(axis=1), axis=0).iloc[1:].iloc[-240:]
    enough = excess.notna().sum() >= 0.6 * len(excess)
    own = excess.loc[:, enough & excess.iloc[-1].notna()].fillna(0.0)
    values, vectors = np.linalg.eigh(own.corr())
    largest = np.argsort(values)[::-1][: min(20, own.shape[1] // 10)]
    scores = (own - own.mean()) / own.std(ddof=0) @ vectors[:, largest]  # the components' returns
    scores = scores / np.sqrt((scores**2).sum())
    explained = pd.DataFrame(scores @ (scores.T @ own))
    return pd.DataFrame({w: explained.iloc[-w:].sum() for w in COMMON_WINDOWS})


@pytest.mark.parametrize("day", [300, 329])
def test_every_feature_is_its_definition(bars, day):
    got = price_volume_features(bars, np.array([day]))[0]
    live = [s for s in range(STOCKS) if bars[day, s, 5] > 0]
    assert len(live) > 15
    for s in live:
        expected = twin(bars, day, s)
        assert set(expected) == set(OWN)
        np.testing.assert_allclose(got[s, : len(OWN)], [expected[n] for n in OWN], rtol=2e-5, atol=2e-6, err_msg=str(s))


@pytest.mark.parametrize("day", [150, 300, 329])
def test_common_returns_are_those_of_the_principal_components(make, day):
    daily = make.daily_bars(DAYS, 64, seed=6, suspended=0.04)
    rng = np.random.default_rng(8)  # three groups of stocks that move together
    daily[..., :5] *= np.exp(np.cumsum(0.02 * rng.standard_normal((DAYS, 3)), 0)[:, np.arange(64) % 3, None])
    daily[day - 120 :, 7, 5] = 0.0
    daily[day, 8, 5] = 0.0
    got = price_volume_features(daily, np.array([day]))[0, :, len(OWN) :]
    expected = common(daily, day)
    assert np.flatnonzero(np.isfinite(got).all(1)).tolist() == expected.index.tolist()
    assert 7 not in expected.index
    assert len(expected) > 50
    np.testing.assert_allclose(got[expected.index], expected, rtol=1e-4, atol=1e-7)
    sixty = expected[60].groupby(expected.index % 3)
    assert sixty.mean().std() > 2 * sixty.std().mean()  # what a stock's group earned, the same for all of it


def test_no_trade_gives_no_features_and_a_short_history_few(bars):
    got = price_volume_features(bars, np.array([30, 299]))
    idle = ~(bars[299, :, 5] > 0)
    assert idle.any()
    assert np.isnan(got[1][idle]).all()
    known = np.isfinite(got[0][bars[30, :, 5] > 0]).any(0)
    assert known[FEATURES.index("std_20")]
    assert not known[FEATURES.index("std_60")]
    assert not known[FEATURES.index("mom_120")]


def test_a_day_alone_is_as_in_all_days_whatever_comes_after(bars, make):
    days, names, at = make.weekdays(DAYS), make.names(STOCKS), 310
    rows = np.r_[at - 40 : at : 10, at - 3 : min(at + 4, DAYS)]
    whole = price_volume_panel(days, names, bars, rows)
    then = slice(at - LOOK_BACK, at + 1)
    alone = price_volume_panel(days[then], names, bars[then], np.array([LOOK_BACK]))
    np.testing.assert_array_equal(alone.values[-1], whole.values[at])
    changed = bars.copy()
    changed[at + 1 :] *= 7
    np.testing.assert_array_equal(
        price_volume_panel(days, names, changed, rows).values[: at + 1], whole.values[: at + 1]
    )


def test_threads_change_nothing_and_each_day_is_reported(bars, make):
    days, names, rows, calls = make.weekdays(DAYS), make.names(STOCKS), np.arange(280, 300), []
    whole = price_volume_panel(days, names, bars, rows)
    threads = price_volume_panel(days, names, bars, rows, 3, lambda done, of: calls.append((done, of)))
    np.testing.assert_array_equal(threads.values, whole.values)
    assert calls == [(n, 20) for n in range(1, 21)]


def test_prices_in_another_unit_and_stocks_in_another_order(bars):
    rows = np.array([320])
    whole = price_volume_features(bars, rows)
    split = bars.copy()
    split[..., :5] *= 8.0  # an adjustment factor with another base
    split[..., 5] /= 8.0
    np.testing.assert_allclose(price_volume_features(split, rows), whole, rtol=1e-5, atol=1e-6)
    order = np.random.default_rng(0).permutation(STOCKS)
    other = price_volume_features(bars[:, order], rows)
    np.testing.assert_array_equal(other[..., : len(OWN)], whole[:, order, : len(OWN)])
    np.testing.assert_allclose(other[..., len(OWN) :], whole[:, order, len(OWN) :], rtol=1e-4, atol=1e-7)


def test_a_panel_is_centred_per_day_and_keeps_its_units(bars, make):
    panel = price_volume_panel(make.weekdays(DAYS), make.names(STOCKS), bars, np.array([100, 299]))
    assert np.isnan(panel.values[[0, 99, 298, 321]]).all()
    raw = pd.DataFrame(price_volume_features(bars, np.array([100, 299]))[1]).dropna(how="all")
    idle = np.setdiff1d(np.arange(STOCKS), raw.index)
    assert len(idle)
    assert np.isnan(panel.values[299, idle]).all()
    np.testing.assert_allclose(panel.values[299, raw.index], (raw - raw.median()).fillna(0.0), rtol=1e-5, atol=1e-7)
    early = panel.values[100][bars[100, :, 5] > 0]
    assert (early[:, FEATURES.index("mom_240")] == 0).all()  # nobody has it yet


def test_a_network_scales_by_its_training_days_and_clips():
    rng = np.random.default_rng(3)
    unit = np.array([1.0, 1e-3, 50.0, 1.0])
    days = [torch.from_numpy(rng.standard_normal((1, 301, 4)) * unit * k).float() for k in (1.0, 3.0)]
    days[0][..., 3] = 0.0  # not there on the first day
    mlp = Mlp("x", 4, 8, 1, 0.5, clip=3.0)
    mlp.calibrate({"x": d} for d in days)
    middle = np.array([np.median(np.abs(d[0].numpy()), axis=0) for d in days])
    expected = 1.4826 * np.append(middle[:, :3].mean(0), middle[1, 3])
    np.testing.assert_allclose(mlp.scale.numpy(), expected, rtol=1e-6)
    mlp.eval()
    inside, beyond = days[1].clone(), days[1].clone()
    bound = torch.from_numpy(3 * expected).float()
    inside = torch.minimum(torch.maximum(inside, -bound), bound)
    assert not torch.equal(inside, beyond)
    torch.testing.assert_close(mlp({"x": inside}), mlp({"x": beyond}))
    np.testing.assert_allclose(
        mlp({"x": beyond})[:, 0].detach(), mlp.net(inside[0] / mlp.scale)[:, 0].detach(), rtol=1e-5, atol=1e-6
    )
    alone = Mlp("x", 4, 0, 0, 0.0, clip=3.0)
    alone.calibrate({"x": torch.zeros(1, 5, 4)} for _ in range(2))
    assert (alone.scale == 1).all()


def test_bars_of_another_shape_are_refused(bars):
    with pytest.raises(InputError, match=r"daily must be \(days, stocks, 6\)"):
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
    columns = [FEATURES.index(s) for s in STYLES]
    styles = panel.values[320][data.rows(320)][:, columns].astype(np.float64)
    styles = np.clip((styles - styles.mean(0)) / styles.std(0), -3, 3)
    expected = neutral(plain, styles[np.isin(data.rows(320), rows)])
    np.testing.assert_allclose(data.batch([320]).label.numpy(), expected, atol=1e-6)
    other = Panel(days, names, panel.values[..., :2], ("a", "b"))
    with pytest.raises(InputError, match=r"needs the features \['amount_20'"):
        Dataset(get("price_volume_neutral_mlp"), {"price_volume": other}, returns)


def test_the_scale_of_a_trained_model_is_of_its_training_days(make):
    spec = override(
        get("price_volume_mlp"), max_epochs=1, train_days=60, valid_days=40, min_train_days=5, min_valid_days=2,
        min_stocks=10, seeds=[0],
    )  # fmt: skip
    panel = make.factor_panel(170, 36, 6, seed=6, missing=0.0)
    returns = 0.05 * np.random.default_rng(4).standard_normal((170, 36))
    data = {"price_volume": panel}
    days = plan_training(spec, data, returns, None, ["2013H2"]).splits["2013H2"].train
    (model,) = train(spec, data, returns, None, "2013H2")
    expected = 1.4826 * np.mean([np.sort(np.abs(panel.values[d]), axis=0)[17] for d in days], axis=0)
    np.testing.assert_allclose(model.state["scale"].numpy(), expected, rtol=1e-5)
