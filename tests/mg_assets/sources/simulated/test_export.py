"""Whole simulated days through the vendor's files and back."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.simulated.day_plan import DayPlan
from mg_assets.sources.simulated.export import export_tonglian, published_in_shanghai
from mg_assets.sources.simulated.intraday_layer import simulate_day
from mg_assets.sources.simulated.settings import SimulationSettings

SPLIT, MERGED = dt.date(2023, 2, 1), dt.date(2023, 11, 27)


@pytest.fixture(scope="module")
def days():
    n = 12
    symbols = np.array([f"{1 + i:06d}.SZ" for i in range(6)] + [f"{600000 + i:06d}.SH" for i in range(6)], object)
    close = np.round(np.linspace(9.6, 10.4, n), 2)
    close[[2, 8]] = 11.0
    out = {}
    for date in (SPLIT, MERGED):
        plan = DayPlan(
            date=date,
            symbols=symbols,
            prev_close=np.full(n, 10.0),
            up_limit=np.full(n, 11.0),
            down_limit=np.full(n, 9.0),
            open=np.full(n, 10.02),
            close=close,
            volume=np.full(n, 5_000_000),
            volatility=np.full(n, 0.02),
            alpha=np.linspace(-2, 2, n),
            suspended=np.arange(n) == 3,
            one_word=np.zeros(n, bool),
            lot=np.full(n, 100),
            board=np.full(n, "main", object),
            float_shares=np.full(n, 1e9),
            st=np.zeros(n, bool),
        )
        out[date] = simulate_day(plan, SimulationSettings(orders_per_stock=600))
    return out


@pytest.mark.parametrize("date", [SPLIT, MERGED])
def test_the_reader_restores_the_day(days, tmp_path, date):
    orders, trades = days[date]
    names = {p.name for p in export_tonglian(orders, trades, date, tmp_path)}
    shanghai = {"mdl_4_24_0.csv"} if date == MERGED else {"mdl_4_19_0.csv", "Transaction.csv"}
    assert names == {"mdl_6_33_0.csv", "mdl_6_36_0.csv"} | shanghai

    source = TonglianSource(tmp_path)
    read = source.load("trades", date)
    assert read.quarantine.empty
    pd.testing.assert_frame_equal(read.frame.reset_index(drop=True), trades, check_dtype=False, check_index_type=False)

    read = source.load("orders", date)
    assert read.quarantine.empty
    restored = read.frame.reset_index(drop=True)
    key = ["symbol", "order_id"]

    shenzhen = orders["symbol"].str.endswith(".SZ")
    pd.testing.assert_frame_equal(
        restored[restored["symbol"].str.endswith(".SZ")].reset_index(drop=True),
        orders[shenzhen].reset_index(drop=True),
        check_dtype=False,
    )

    new = (orders["kind"] != "cancel") & ~shenzhen
    killed = orders[~shenzhen & (orders["kind"] == "cancel") & orders["price"].isna()]  # never published
    back = restored[restored["symbol"].str.endswith(".SH") & (restored["kind"] != "cancel")]
    both = orders[new].merge(back, on=key, how="outer", suffixes=("", "_back"), indicator=True)
    absent = both[both["_merge"] != "both"]
    assert absent["kind"].isin(["market"]).all()  # one that found no counterparty at all
    both = both[both["_merge"] == "both"]
    lost = both.merge(killed[[*key, "volume"]], on=key, how="left", suffixes=("", "_killed"))["volume_killed"].fillna(0)
    assert (both["volume"].to_numpy() - lost.to_numpy() == both["volume_back"].to_numpy()).all()
    assert (both["side"] == both["side_back"]).all()
    assert (both["time"] == both["time_back"]).all()
    published = both["kind_back"] == "limit"
    assert published.mean() > 0.5
    assert (both["kind"][published] == "limit").all()
    assert (both["price"][published] == both["price_back"][published]).all()
    unpublished = both[~published]  # executed wholly on arrival: no price was ever shown
    aggressor = trades["buy_order"].where(trades["side"] > 0, trades["sell_order"])[trades["side"] != 0]
    arrived = set(zip(trades["symbol"][aggressor.index], aggressor, strict=True))
    assert set(map(tuple, unpublished[key].to_numpy())) <= arrived

    cancels = orders[~shenzhen & (orders["kind"] == "cancel") & orders["price"].notna()]
    assert cancels.shape[0] > 100
    pd.testing.assert_frame_equal(
        restored[restored["symbol"].str.endswith(".SH") & (restored["kind"] == "cancel")].reset_index(drop=True),
        cancels.reset_index(drop=True),
        check_dtype=False,
    )


def test_shanghai_shows_what_rests(days):
    orders, trades = (f[f["symbol"].str.endswith(".SH")] for f in days[SPLIT])
    shown = published_in_shanghai(orders, trades)
    new, adds = orders[orders["kind"] != "cancel"], shown[shown["kind"] != "cancel"]
    assert 0.5 < len(adds) / len(new) < 0.95
    merged = adds.merge(new, on=["symbol", "order_id"], suffixes=("", "_entered"))
    part = merged["volume"] < merged["volume_entered"]
    assert part.any()
    assert (merged["seq"][part] > merged["seq_entered"][part]).all()
    assert (merged["seq"][~part] == merged["seq_entered"][~part]).all()
    numbers = pd.concat([shown[["symbol", "seq"]], trades[["symbol", "seq"]]])
    assert not numbers.duplicated().any()


def test_files_have_the_vendors_columns(days, tmp_path, shared_data):
    orders, trades = days[SPLIT]
    export_tonglian(orders, trades, SPLIT, tmp_path)
    heads = shared_data / "vendor_csv_heads"
    for ours, theirs in (
        ("mdl_4_19_0.csv", "tonglian_mdl_4_19_0_entrust.csv"),
        ("Transaction.csv", "tonglian_sh_Transaction.csv"),
    ):
        mine = (tmp_path / "20230201" / ours).read_text().splitlines()
        real = (heads / theirs).read_text().splitlines()
        assert mine[0] == real[0]
        assert len(mine[1].split(",")) == len(real[1].split(","))


def test_shenzhen_codes_are_ascii_and_cancels_stand_among_trades(days, tmp_path):
    orders, trades = days[SPLIT]
    export_tonglian(orders, trades, SPLIT, tmp_path)
    lines = (tmp_path / "20230201" / "mdl_6_36_0.csv").read_text().splitlines()
    assert not lines[0].endswith(",")
    assert all(line.endswith(",") for line in lines[1:])
    rows = pd.read_csv(tmp_path / "20230201" / "mdl_6_36_0.csv", index_col=False)
    assert set(rows["ExecType"]) == {70, 52}
    cancels = rows[rows["ExecType"] == 52]
    assert (cancels["LastPx"] == 0).all()
    assert ((cancels["BidApplSeqNum"] == 0) != (cancels["OfferApplSeqNum"] == 0)).all()
    entered = pd.read_csv(tmp_path / "20230201" / "mdl_6_33_0.csv")
    assert set(entered["Side"]) == {49, 50}
    assert set(entered["OrdType"]) <= {49, 50, 85}
    numbers = pd.concat([rows[["ChannelNo", "ApplSeqNum"]], entered[["ChannelNo", "ApplSeqNum"]]])
    assert not numbers.duplicated().any()


def test_unknown_exchange_is_named(days, tmp_path):
    orders, trades = (f.assign(symbol="830799.BJ") for f in days[SPLIT])
    with pytest.raises(DataError, match=r"830799\.BJ"):
        export_tonglian(orders, trades, SPLIT, tmp_path)
