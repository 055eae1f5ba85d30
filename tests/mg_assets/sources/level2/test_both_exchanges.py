"""Both exchanges in one table: each with its own rules, nothing lost as another security; prices that are no yuan."""

import datetime as dt

import exported as files
import numpy as np
import pandas as pd
import pytest
from vendor_files import huatai_shanghai, huatai_shenzhen

from mg_assets.errors import DataError
from mg_assets.ingest import discover_files, ingest_days, open_sources
from mg_assets.sources import build_source

DAY, MERGED = dt.date(2023, 2, 1), dt.date(2023, 11, 27)


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Tonglian's files of a day of separate streams and of one of the merged stream, and what is read of them."""
    root = tmp_path_factory.mktemp("apart")
    out = {}
    for day in (DAY, MERGED):
        frames = {stem: pd.read_csv(p, index_col=False) for stem, p in files.exported(day, root).items()}
        source = build_source("tonglian", {"root": root})
        out[day] = frames, {table: source.load(table, day).frame for table in ("trades", "orders")}
    return out


def stamped(times, day):
    return f"{day:%Y.%m.%d}T" + times.astype("str")


def tables(frames, day):
    """Orders and trades of both exchanges as DolphinDB's module writes them: the union of columns, and Market."""
    sz_orders, sz_trades = frames["mdl_6_33_0"], frames["mdl_6_36_0"]
    merged = frames.get("mdl_4_24_0") if day >= MERGED else None
    if merged is None:
        sh_orders, sh_trades = frames["mdl_4_19_0"], frames["Transaction"]
        sh_orders = sh_orders.rename(
            columns={
                "OrderIndex": "ApplSeqNum",
                "OrderChannel": "ChannelNo",
                "OrderTime": "at",
                "OrderPrice": "Price",
                "Balance": "OrderQty",
                "OrderBSFlag": "Side",
            }
        )
        sh_trades = sh_trades.rename(
            columns={
                "TradeIndex": "ApplSeqNum",
                "TradeChan": "ChannelNo",
                "TradTime": "at",
                "TradPrice": "TradePrice",
                "TradVolume": "TradeQty",
                "TradeBuyNo": "BidApplSeqNum",
                "TradeSellNo": "OfferApplSeqNum",
            }
        )
    else:
        own = np.where(merged["TickBSFlag"] == "B", merged["BuyOrderNO"], merged["SellOrderNO"])
        common = merged.assign(ApplSeqNum=merged["BizIndex"], OrderNO=own).rename(
            columns={"Channel": "ChannelNo", "TickTime": "at"}
        )
        sh_orders = common[common["Type"] != "T"].rename(
            columns={"Type": "OrderType", "Qty": "OrderQty", "TickBSFlag": "Side"}
        )
        sh_trades = common[common["Type"] == "T"].rename(
            columns={
                "Price": "TradePrice",
                "Qty": "TradeQty",
                "TickBSFlag": "TradeBSFlag",
                "BuyOrderNO": "BidApplSeqNum",
                "SellOrderNO": "OfferApplSeqNum",
            }
        )
    sz_orders = sz_orders.rename(columns={"TransactTime": "at", "OrdType": "OrderType"})
    sz_trades = sz_trades.rename(columns={"TransactTime": "at", "LastPx": "TradePrice", "LastQty": "TradeQty"})
    columns = {
        "entrust": ["ChannelNo", "ApplSeqNum", "SecurityID", "Price", "OrderQty", "Side", "TradeTime", "OrderType",
                    "OrderNO", "BizIndex", "Market"],
        "trade": ["ChannelNo", "ApplSeqNum", "BidApplSeqNum", "OfferApplSeqNum", "SecurityID", "TradePrice", "TradeQty",
                  "ExecType", "TradeTime", "TradeBSFlag", "BizIndex", "Market"],
    }  # fmt: skip
    for name, sz, sh in (("entrust", sz_orders, sh_orders), ("trade", sz_trades, sh_trades)):
        both = pd.concat([sz.assign(Market="SZ"), sh.assign(Market="SH")], ignore_index=True)
        both["TradeTime"] = stamped(both["at"], day)
        for column in ("BizIndex", "OrderNO", "ExecType"):
            if column in both and pd.api.types.is_float_dtype(both[column]):
                both[column] = both[column].astype("Int64")
        yield name, both[columns[name]]


def written(tmp_path, made, day, **how):
    folder = tmp_path / f"{day:%Y%m%d}"
    folder.mkdir()
    for name, frame in made:
        frame.to_csv(folder / f"{name}.csv", index=False, **how)
    return folder


@pytest.mark.parametrize("day", [DAY, MERGED])
def test_a_table_of_both_exchanges_gives_what_files_give(days, tmp_path, day):
    frames, expected = days[day]
    written(tmp_path, tables(frames, day), day)
    source = build_source("tonglian_tables", {"root": tmp_path})
    for table in ("trades", "orders"):
        loaded = source.load(table, day)
        assert loaded.quarantine.empty
        pd.testing.assert_frame_equal(loaded.frame, expected[table])


def test_ingest_reads_both_exchanges_of_a_table(days, tmp_path):
    frames, expected = days[DAY]
    folder = written(tmp_path, tables(frames, DAY), DAY)
    report, found = discover_files(tmp_path)
    kept = {}
    ingest_days(report, found, open_sources(report), lambda source, table, key, day: kept.update({table: day.frame}))
    assert report.options["kind"] == "tonglian_tables"
    for table in ("trades", "orders"):
        pd.testing.assert_frame_equal(kept[table], expected[table])
    entry = report.files[folder / "trade.csv"]
    assert (entry.what, entry.others, entry.error) == ("tonglian_tables sh_trades+sz_trades 2023-02-01", 0, "")


@pytest.mark.parametrize("packed", [False, True])
def test_an_exchange_behind_the_other_is_found(days, tmp_path, packed):
    """A table sorted by exchange: the first rows are all of one."""
    frames, expected = days[DAY]
    parts = dict(huatai_shenzhen(frames)), dict(huatai_shanghai(frames))
    many = pd.concat([parts[0]["sz_trans"]] * 12)  # behind what a sample of the first rows shows
    many["TradeIndex"] = many["ApplSeqNum"] = np.arange(len(many)) + 1
    both = pd.concat([many.assign(TradeBSFlag=0), parts[1]["sh_trans"].assign(TradeType=0, TradeIndex=0)])
    how = {"compression": "gzip"} if packed else {}
    folder = tmp_path / "20230201"
    folder.mkdir()
    both.to_csv(folder / ("deals.csv.gz" if packed else "deals.csv"), index=False, **how)
    report, found = discover_files(tmp_path)
    if packed:  # its end is not looked at: what is left out is said
        ingest_days(report, found, open_sources(report))
        (entry,) = report.failed
        assert "rows are A shares of the other exchange, which sz_trades leaves out" in entry.error
    else:
        assert [f.table for f in found] == ["sz_trades", "sh_trades"]
        trades = open_sources(report).whole.load("trades", DAY).frame
        shanghai = expected["trades"][expected["trades"].symbol.str.endswith(".SH")]
        assert len(trades[trades.symbol.str.endswith(".SH")]) == len(shanghai)


@pytest.mark.parametrize("codes", ["000001", "000001.SZ"])
def test_a_stream_says_what_it_leaves_out_of_the_other(days, tmp_path, codes):
    frames, _ = days[DAY]
    frame = frames["Transaction"]
    names = frame["SecurityID"].map("{:06d}.SH".format) if "." in codes else frame["SecurityID"]
    mixed = pd.concat([frame.assign(SecurityID=names), frame.assign(SecurityID=codes)])
    written(tmp_path, [("Transaction", mixed)], DAY)
    with pytest.raises(DataError, match=r"Transaction.csv: \d+ of \d+ rows are A shares .*for sz_trades too"):
        build_source("tonglian", {"root": tmp_path}).load("trades", DAY)


def test_other_securities_of_an_exchange_are_none_of_the_others(days, tmp_path):
    frame = days[DAY][0]["Transaction"]
    codes = ["510300", "113050", "900901", "000001.SH"]  # a fund, a bond, a B-share, an index
    more = [frame.iloc[:5].assign(SecurityID=code) for code in codes]
    written(tmp_path, [("Transaction", pd.concat([frame, *more]))], DAY)
    notes = build_source("tonglian", {"root": tmp_path}).load("trades", DAY).notes["streams"]["sh_trades"]
    assert notes["rows_of_other_securities"] == 20
    assert "rows_of_the_other_exchange" not in notes


@pytest.mark.parametrize("unit", [0.0001, 0.001, 0.01])
def test_integer_prices_name_the_option(days, tmp_path, unit):
    frames, expected = days[DAY]
    tables_of = {name: frame.copy() for name, frame in huatai_shanghai(frames)}
    for frame in tables_of.values():
        price = "OrderPrice" if "OrderPrice" in frame else "TradePrice"
        frame[price] = (frame[price] / unit).round().astype(int)
    written(tmp_path, tables_of.items(), DAY)
    source = build_source("huatai", {"root": tmp_path})
    for table, column in (("trades", "TradePrice"), ("orders", "OrderPrice")):
        words = (
            rf"column '{column}' is [\d,]+ in the middle, .* price_unit, {unit:g} \(mg ingest --price-unit {unit:g}\)"
        )
        with pytest.raises(DataError, match=words):
            source.load(table, DAY)
    right = build_source("huatai", {"root": tmp_path, "price_unit": unit}).load("trades", DAY).frame
    shanghai = expected["trades"][expected["trades"].symbol.str.endswith(".SH")].reset_index(drop=True)
    pd.testing.assert_frame_equal(right, shanghai)


@pytest.mark.parametrize(
    ("column", "unit", "words"),
    [
        ("TradPrice", 100, r"'TradPrice' x 'TradVolume' is 100 times 'TradeMoney': .* price_unit, 0.01 "),
        ("TradVolume", 0.01, r"'TradPrice' x 'TradVolume' is 0.01 times 'TradeMoney': one of them"),
    ],
)
def test_a_few_trades_contradict_their_amounts(days, tmp_path, column, unit, words):
    """In fen or lots; no price level and no whole yuan show it, but the amount beside each trade does."""
    frame = days[DAY][0]["Transaction"]
    few = frame[frame["TradVolume"] % 100 == 0].head(5)
    few = few.assign(**{column: (few[column] * unit).round().astype(int)})
    written(tmp_path, [("Transaction", few)], DAY)
    source = build_source("tonglian", {"root": tmp_path})
    with pytest.raises(DataError, match=words):
        source.load("trades", DAY)
    if unit == 100:
        right = build_source("tonglian", {"root": tmp_path, "price_unit": 0.01}).load("trades", DAY).frame
        assert right["price"].tolist() == (few["TradPrice"] / 100).tolist()
