# ruff: noqa: E501 (a corpus: one case a line)
"""A corpus of damaged inputs: mutations of small valid files, each with the outcome that it must have.

The files are a simulated day as its exporter writes it. An outcome is an error with a given text that names the
file, a number of quarantined rows with their reasons (and all other rows as in the clean file), or acceptance: the
same tables as from the clean file.
"""

import csv
import datetime as dt
import gzip
import io
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import exported as files
import numpy as np
import pandas as pd
import py7zr
import pytest

from mg_assets.errors import MgError
from mg_assets.sources.io import archives
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.mapped.source import MappedSource

DAY, MERGED = dt.date(2023, 2, 1), dt.date(2023, 11, 27)
AT = 7  # the data row that most cases damage
SH_T, SH_O, SH_M, SZ_T, SZ_O = "Transaction", "mdl_4_19_0", "mdl_4_24_0", "mdl_6_36_0", "mdl_6_33_0"
TABLE = {SH_T: "trades", SH_O: "orders", SH_M: "trades", SZ_T: "trades", SZ_O: "orders"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> dict[str, bytes]:
    """The exporter's files by stem: the separate streams, and the merged one of another day."""
    root = tmp_path_factory.mktemp("clean")
    out = {stem: path.read_bytes() for stem, path in files.exported(DAY, root).items()}
    out[SH_M] = files.exported(MERGED, root)[SH_M].read_bytes()
    assert set(out) == set(TABLE)
    return out


@dataclass(frozen=True)
class Case:
    """A mutation of one file and its outcome.

    Attributes
    ----------
    change : callable
        Takes the clean bytes, returns the damaged ones.
    error : str
        Regular expression of the error; empty where there is none.
    quarantined : dict of str to int
        Reasons (their beginnings) and how many rows each; empty where all rows are kept.
    others : int
        Rows that now count as other securities.
    """

    name: str
    file: str
    change: Callable[[bytes], bytes]
    error: str = ""
    quarantined: dict[str, int] = field(default_factory=dict)
    others: int = 0
    end: str = ".csv"
    day: dt.date | None = None
    alone: bool = False


def lines(data: bytes) -> list[str]:
    return data.decode().splitlines()


def joined(rows: list[str], end: str = "\n") -> bytes:
    return (end.join(rows) + end).encode()


def cells(data: bytes) -> tuple[list[str], list[list[str]]]:
    head, *rows = [line.split(",") for line in lines(data)]
    return head, rows


def put(column: str, value: str | Callable[[str], str], at: int = AT) -> Callable[[bytes], bytes]:
    """One cell of one data row changed."""

    def change(data: bytes) -> bytes:
        head, rows = cells(data)
        i = head.index(column)
        rows[at][i] = value(rows[at][i]) if callable(value) else value
        return joined([",".join(r) for r in (head, *rows)])

    return change


def every(column: str, value: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """One column changed in all rows."""

    def change(data: bytes) -> bytes:
        head, rows = cells(data)
        i = head.index(column)
        for row in rows:
            row[i] = value(row[i])
        return joined([",".join(r) for r in (head, *rows)])

    return change


def row(edit: Callable[[str], str], at: int = AT) -> Callable[[bytes], bytes]:
    """One data line changed."""
    return lambda data: joined([edit(x) if i == at + 1 else x for i, x in enumerate(lines(data))])


def rows(edit: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """Every line changed, the header too."""
    return lambda data: joined([edit(x) for x in lines(data)])


def body(edit: Callable[[list[str]], list[str]]) -> Callable[[bytes], bytes]:
    """The data lines rearranged."""
    return lambda data: joined([lines(data)[0], *edit(lines(data)[1:])])


def without(column: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        head, rows = cells(data)
        i = head.index(column)
        return joined([",".join(r[:i] + r[i + 1 :]) for r in (head, *rows)])

    return change


def shuffled_columns(data: bytes) -> bytes:
    head, rows = cells(data)
    order = np.random.default_rng(1).permutation(len(head))
    return joined([",".join(r[i] for i in order) for r in (head, *rows)])


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def seven(*members: tuple[str, bytes], password: str | None = None) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", password=password) as archive:
        for name, data in members:
            archive.writestr(data, name)
    return out.getvalue()


def parquet(edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[bytes], bytes]:
    return lambda data: edit(pd.read_csv(io.BytesIO(data), index_col=False)).to_parquet()


def bomb(data: bytes) -> bytes:
    """A valid table, and then a great many equal rows."""
    return data + (lines(data)[-1] + "\n").encode() * 60_000


def with_name(data: bytes) -> bytes:
    """A further column in Chinese, saved in GBK."""
    return (
        b"\n".join(
            x.encode("gb18030") for x in [f"{x},{'名称' if i == 0 else '贵州茅台'}" for i, x in enumerate(lines(data))]
        )
        + b"\n"
    )


def excel(text: str) -> str:
    return ",".join(f'"{c}"' for c in text.split(","))


def same_number(data: bytes) -> bytes:
    """An order under the number of another one of its stock."""
    head, rows = cells(data)
    code, number = head.index("SecurityID"), head.index("ApplSeqNum")
    other = next(r for r in rows[AT + 1 :] if r[code] == rows[AT][code])
    rows[AT][number] = other[number]
    return joined([",".join(r) for r in (head, *rows)])


DAMAGED_FILES = [
    Case("cut inside a row", SH_T, lambda d: d[: len(d) // 2], error="ends inside a row.*fetch it again"),
    Case("cut gzip", SH_T, lambda d: gzip.compress(d)[:-40], end=".csv.gz", error="damaged or truncated"),
    Case("gzip of a cut file", SH_T, lambda d: gzip.compress(d[:-30]), end=".csv.gz", error="ends inside a row"),
    Case("gzip with a wrong checksum", SH_T, lambda d: gzip.compress(d)[:-8] + bytes(8), end=".csv.gz", error="damaged"),
    Case("cut zip", SH_T, lambda d: zipped(("a.csv", d))[:-60], end=".zip", error="damaged or truncated"),
    Case("zip with a damaged member", SH_T, lambda d: (lambda z: z[:200] + bytes(40) + z[240:])(zipped(("a.csv", d))), end=".zip", error="damaged|ends inside|cannot be read"),
    Case("zip of two tables", SH_T, lambda d: zipped(("a.csv", d), ("b.csv", d)), end=".zip", error="holds 2 files.*unpack"),
    Case("empty zip", SH_T, lambda d: zipped(), end=".zip", error="holds 0 files"),
    Case("zip in a zip", SH_T, lambda d: zipped(("a.zip", zipped(("a.csv", d)))), end=".zip", error="holds 'a.zip'"),
    Case("zip with a Mac's rubbish", SH_T, lambda d: zipped(("a.csv", d), ("__MACOSX/._a.csv", b"x")), end=".zip"),
    Case("zip that is none", SH_T, lambda d: d, end=".zip", error="damaged or truncated"),
    Case("gzip that is none", SH_T, lambda d: d, end=".csv.gz", error="damaged or truncated"),
    Case("7z that is none", SH_T, lambda d: d, end=".7z", error="cannot be unpacked"),
    Case("whole 7z", SH_T, lambda d: seven(("a.csv", d), ("readme.txt", b"hello")), end=".7z"),
    Case("cut 7z", SH_T, lambda d: seven(("a.csv", d))[:-30], end=".7z", error="cannot be unpacked.*fetch it again"),
    Case("damaged 7z", SH_T, lambda d: (lambda z: z[:60] + bytes(20) + z[80:])(seven(("a.csv", d))), end=".7z", error="cannot be unpacked|damaged"),
    Case("7z with a password", SH_T, lambda d: seven(("a.csv", d), password="x"), end=".7z", error="is encrypted"),
    Case("gzip bomb", SH_T, lambda d: gzip.compress(bomb(d)), end=".csv.gz", error="unpacks to more than.*bomb"),
    Case("zip bomb", SH_T, lambda d: zipped(("a.csv", bomb(d))), end=".zip", error="unpacks to more than.*bomb"),
    Case("7z bomb", SH_T, lambda d: seven(("a.csv", bomb(d))), end=".7z", error="unpacks to more than.*bomb"),
    Case("empty", SH_T, lambda d: b"", error=r"is empty \(0 bytes\)"),
    Case("a mark and nothing else", SH_T, lambda d: b"\xef\xbb\xbf", error="columns lacking|is empty"),
    Case("header only", SH_T, lambda d: joined(lines(d)[:1]), error="a header and no rows"),
    Case("header and blank lines", SH_T, lambda d: joined(lines(d)[:1]) + b"\n\n\n", error="a header and no rows"),
    Case("no header", SH_T, lambda d: joined(lines(d)[1:]), error="columns lacking"),
    Case("missing column", SH_T, without("TradPrice"), error=r"columns lacking: \['TradPrice'\]; the file has"),
    Case("column twice", SH_T, rows(lambda x: f"{x},{x.split(',')[-3]}"), error="occurs more than once"),
    Case("another stream's rows", SH_T, lambda d: joined(["ChannelNo,ApplSeqNum,Price", "1,2,3"]), error="columns lacking"),
    Case("a web page", SH_T, lambda d: b"<html><body>404, not found</body></html>\n", error="columns lacking"),
    Case("binary", SH_T, lambda d: b"\x89PNG\r\n" + bytes(range(1, 256)) * 20, error="columns lacking|neither UTF-8"),
    Case("UTF-16", SH_T, lambda d: d.decode().encode("utf-16"), error="UTF-16"),
    Case("UTF-16 without a mark", SH_T, lambda d: d.decode().encode("utf-16-le"), error="UTF-16"),
    Case("zeros at the end", SH_T, lambda d: d[:-200] + bytes(4096), error="ends inside a row"),
    Case("two channels for a stock", SH_T, put("TradeChan", "77"), error="channels .* split the file"),
    Case("every time in the night", SH_T, every("TradTime", lambda t: "03" + t[2:]), error="rows are bad.*outside 09:15"),
    Case("every time of another day", SH_T, every("TradTime", lambda t: f"2023-02-02 {t}"), error="rows are bad.*on another day"),
    Case("every volume negative", SH_T, every("TradVolume", lambda v: f"-{v}"), error="rows are bad.*not positive"),
    Case("cut Parquet", SH_T, lambda d: parquet(lambda f: f)(d)[:-100], end=".parquet", error="no whole Parquet file"),
    Case("Parquet that is CSV", SH_T, lambda d: d, end=".parquet", error="no whole Parquet file"),
    Case("empty Parquet", SH_T, lambda d: b"", end=".parquet", error="is empty"),
    Case("Parquet without a column", SH_T, parquet(lambda f: f.drop(columns="BizIndex")), end=".parquet", error="columns lacking"),
    Case("Parquet with lists", SH_T, parquet(lambda f: f.assign(TradTime=[[t] for t in f.TradTime])), end=".parquet", error="'TradTime' holds list"),
]  # fmt: skip

WRONG_DATES = [
    Case("Shanghai orders before there were any", SH_O, lambda d: d, day=dt.date(2021, 6, 4), error="no sh_orders of this form on that day.*2021-06-07"),
    Case("separate orders after the merger", SH_O, lambda d: d, day=MERGED, error=r"no sh_orders of this form.*sh_merged 2023-11-27\.\."),
    Case("separate trades after the merger", SH_T, lambda d: d, day=MERGED, alone=True, error=r"no sh_trades of this form.*sh_merged 2023-11-27\.\."),
    Case("merged stream before the merger", SH_M, lambda d: d, day=dt.date(2023, 11, 24), alone=True, error="no sh_merged of this form"),
    Case("Shenzhen orders before 2016-05-09", SZ_O, lambda d: d, day=dt.date(2016, 5, 6), error=r"no sz_orders of this form on that day \(forms: sz_orders \.\.2016-05-08"),
    Case("Shenzhen trades before 2016-05-09", SZ_T, lambda d: d, day=dt.date(2016, 5, 6), alone=True, error="no sz_trades of this form"),
]  # fmt: skip

ACCEPTED = [
    Case("columns in another order", SH_T, shuffled_columns),
    Case("column names in lower case", SH_T, lambda d: joined([lines(d)[0].lower(), *lines(d)[1:]])),
    Case("blanks around column names", SH_T, lambda d: joined([lines(d)[0].replace(",", " , "), *lines(d)[1:]])),
    Case("a further column", SH_T, rows(lambda x: f"{x},more")),
    Case("rows shuffled", SH_T, body(lambda r: list(np.random.default_rng(2).permutation(r)))),
    Case("rows backwards", SH_T, body(lambda r: r[::-1])),
    Case("Shenzhen rows shuffled", SZ_T, body(lambda r: list(np.random.default_rng(3).permutation(r)))),
    Case("Shenzhen orders backwards", SZ_O, body(lambda r: r[::-1])),
    Case("UTF-8 with a mark", SH_T, lambda d: b"\xef\xbb\xbf" + d),
    Case("names in GBK", SH_T, with_name),
    Case("Windows line ends", SH_T, lambda d: d.replace(b"\n", b"\r\n")),
    Case("old Mac line ends", SH_T, lambda d: d.replace(b"\n", b"\r")),
    Case("mixed line ends", SH_T, lambda d: b"".join(x + (b"\r\n" if i % 3 else b"\n") for i, x in enumerate(d.splitlines()))),
    Case("no last line end", SH_T, lambda d: d[:-1]),
    Case("blank lines between rows", SH_T, lambda d: d.replace(b"\n", b"\n\n")),
    Case("quotes around everything", SH_T, rows(excel)),
    Case("stray comma at every row's end", SH_T, body(lambda r: [f"{x}," for x in r])),
    Case("stray comma at one row's end", SH_T, row(lambda x: f"{x},")),
    Case("Shenzhen without its stray commas", SZ_T, rows(lambda x: x.rstrip(","))),
    Case("semicolons", SH_T, lambda d: d.replace(b",", b";")),
    Case("tabs", SH_T, lambda d: d.replace(b",", b"\t")),
    Case("bars", SH_T, lambda d: d.replace(b",", b"|")),
    Case("blanks around values", SH_T, body(lambda r: [x.replace(",", " , ") for x in r])),
    Case("volume in scientific notation", SH_T, put("TradVolume", lambda v: f"{int(v):e}")),
    Case("volume as a float", SH_T, put("TradVolume", lambda v: f"{v}.0")),
    Case("volume with a sign", SH_T, put("TradVolume", lambda v: f"+{v}")),
    Case("volume in hexadecimal", SH_T, put("TradVolume", lambda v: hex(int(v)))),
    Case("price in scientific notation", SH_T, put("TradPrice", lambda p: f"{float(p):.6e}")),
    Case("prices with noise of a float", SH_T, every("TradPrice", lambda p: f"{float(p) - 1e-14:.17f}")),
    Case("times with the day's date", SH_T, every("TradTime", lambda t: f"2023-02-01 {t}")),
    Case("times as numbers", SH_T, every("TradTime", lambda t: t.replace(":", "").replace(".", ""))),
    Case("times to the millisecond with the date", SH_T, every("TradTime", lambda t: "20230201" + t.replace(":", "").replace(".", ""))),
    Case("codes with a suffix", SH_T, every("SecurityID", lambda c: f"{int(c):06d}.SH")),
    Case("codes with a prefix", SH_T, every("SecurityID", lambda c: f"sh.{int(c):06d}")),
    Case("Shenzhen codes with zeros", SZ_T, every("SecurityID", lambda c: f"{int(c):06d}")),
    Case("codes as characters", SZ_O, every("Side", lambda c: chr(int(c)))),
    Case("Parquet", SH_T, parquet(lambda f: f), end=".parquet"),
    Case("Parquet with prices as text", SH_T, parquet(lambda f: f.assign(TradPrice=f.TradPrice.astype(str))), end=".parquet"),
    Case("Parquet with volumes as floats", SH_T, parquet(lambda f: f.assign(TradVolume=f.TradVolume.astype(float))), end=".parquet"),
    Case("Parquet with categories", SH_T, parquet(lambda f: f.astype({"TradeBSFlag": "category"})), end=".parquet"),
    Case("gzip", SH_T, gzip.compress, end=".csv.gz"),
    Case("gzip in two members", SH_T, lambda d: gzip.compress(d[:500]) + gzip.compress(d[500:]), end=".csv.gz"),
    Case("zip", SH_T, lambda d: zipped(("anything.csv", d)), end=".csv.zip"),
]  # fmt: skip

BAD_ROWS = [
    Case("impossible time", SH_T, put("TradTime", "25:61:00.000"), quarantined={"TradTime is no time": 1}),
    Case("midnight as 24:00", SH_T, put("TradTime", "24:00:00.000"), quarantined={"TradTime is no time": 1}),
    Case("negative time", SH_T, put("TradTime", "-9:30:00.000"), quarantined={"TradTime is no time": 1}),
    Case("time in the night", SH_T, put("TradTime", "03:00:00.000"), quarantined={"TradTime is outside 09:15-15:30": 1}),
    Case("time of another day", SH_T, put("TradTime", "2023-02-02 10:00:00"), quarantined={"TradTime is on another day": 1}),
    Case("empty time", SH_T, put("TradTime", ""), quarantined={"TradTime is no time": 1}),
    Case("negative volume", SH_T, put("TradVolume", "-100"), quarantined={"TradVolume is not positive": 1}),
    Case("zero volume", SH_T, put("TradVolume", "0"), quarantined={"TradVolume is not positive": 1}),
    Case("empty volume", SH_T, put("TradVolume", ""), quarantined={"TradVolume is empty": 1}),
    Case("half a share", SH_T, put("TradVolume", "100.5"), quarantined={"TradVolume is no number": 1}),
    Case("volume past 64 bits", SH_T, put("TradVolume", "99999999999999999999"), quarantined={"TradVolume is no number": 1}),
    Case("volume in words", SH_T, put("TradVolume", "many"), quarantined={"TradVolume is no number": 1}),
    Case("volume in thousands", SH_T, row(lambda x: x.replace(x.split(",")[6], '"1,00"', 1)), quarantined={"TradVolume is no number": 1}),
    Case("a zero byte in the volume", SH_T, put("TradVolume", "1\x0000"), quarantined={"TradVolume is no number": 1}),
    Case("zero price", SH_T, put("TradPrice", "0"), quarantined={"TradPrice is not positive": 1}),
    Case("negative price", SH_T, put("TradPrice", "-1"), quarantined={"TradPrice is not positive": 1}),
    Case("no price", SH_T, put("TradPrice", ""), quarantined={"TradPrice is not positive": 1}),
    Case("price NaN", SH_T, put("TradPrice", "NaN"), quarantined={"TradPrice is not positive": 1}),
    Case("price infinite", SH_T, put("TradPrice", "inf"), quarantined={"TradPrice is no": 1}),
    Case("price past a float", SH_T, put("TradPrice", "1e400"), quarantined={"TradPrice is no": 1}),
    Case("price in words", SH_T, put("TradPrice", "#DIV/0!"), quarantined={"TradPrice is no number": 1}),
    Case("decimal comma", SH_T, put("TradPrice", "10,5"), quarantined={"15 fields where the header has 14": 1}),
    Case("unknown flag", SH_T, put("TradeBSFlag", "X"), quarantined={"TradeBSFlag is an unknown code": 1}),
    Case("flag in lower case", SH_T, put("TradeBSFlag", "b"), quarantined={"TradeBSFlag is an unknown code": 1}),
    Case("no flag", SH_T, put("TradeBSFlag", ""), quarantined={"TradeBSFlag is an unknown code": 1}),
    Case("flag in Chinese, GBK", SH_T, lambda d: put("TradeBSFlag", "@@")(d).replace(b"@@", "买".encode("gb18030")), quarantined={"TradeBSFlag is an unknown code": 1}),
    Case("bytes of no encoding", SH_T, lambda d: put("TradPrice", "@@")(d).replace(b"@@", b"\xc3\x28"), quarantined={"TradPrice is no number": 1}),
    Case("no code", SH_T, put("SecurityID", ""), quarantined={"SecurityID is empty": 1}),
    Case("code in words", SH_T, put("SecurityID", "Pudong"), quarantined={"SecurityID is no number": 1}),
    Case("no sequence", SH_T, put("BizIndex", ""), quarantined={"BizIndex is empty": 1}),
    Case("sequence zero", SH_T, put("BizIndex", "0"), quarantined={"BizIndex is outside": 1}),
    Case("sequence past the limit", SH_T, put("BizIndex", str(1 << 50)), quarantined={"BizIndex is outside": 1}),
    Case("negative order number", SH_T, put("TradeBuyNo", "-5"), quarantined={"TradeBuyNo is outside": 1}),
    Case("order number past the limit", SH_T, put("TradeSellNo", str(1 << 50)), quarantined={"TradeSellNo is outside": 1}),
    Case("no order number", SH_T, put("TradeBuyNo", ""), quarantined={"TradeBuyNo is empty": 1}),
    Case("a row twice", SH_T, body(lambda r: [*r[: AT + 1], r[AT], *r[AT + 1 :]]), quarantined={"BizIndex occurs twice": 1}),
    Case("every row twice", SH_T, body(lambda r: [x for x in r for _ in (0, 1)]), quarantined={"BizIndex occurs twice": -1}),
    Case("the header again in the middle", SH_T, lambda d: joined([*lines(d)[:9], lines(d)[0], *lines(d)[9:]]), quarantined={"SecurityID is no number": 1}),
    Case("a field too few", SH_T, row(lambda x: x.rsplit(",", 1)[0]), quarantined={"13 fields where the header has 14": 1}),
    Case("a field too many", SH_T, row(lambda x: f"{x},surplus"), quarantined={"15 fields where the header has 14": 1}),
    Case("comma inside a row", SH_T, row(lambda x: x.replace(",", ",,", 1)), quarantined={"15 fields where the header has 14": 1}),
    Case("a row of one word", SH_T, row(lambda x: "subtotal"), quarantined={"1 fields where the header has 14": 1}),
    Case("quote never closed", SH_T, row(lambda x: x.replace(",6", ',"6', 1) if ",6" in x else f'"{x}'), quarantined={"SecurityID is no number": 1}),
    Case("a fund among the stocks", SH_T, put("SecurityID", "510300"), others=1),
    Case("Shenzhen's stock in Shanghai's file", SH_T, put("SecurityID", "000001.SZ"), quarantined={"SecurityID is a stock of the other exchange": 1}),
    Case("Shanghai's index in its own file", SH_T, put("SecurityID", "000001.SH"), others=1),
    Case("unknown ExecType", SZ_T, put("ExecType", "99"), quarantined={"ExecType is an unknown code": 1}),
    Case("fill without a price", SZ_T, put("LastPx", "0"), quarantined={"LastPx is not positive": 1}),
    Case("Shenzhen volume overflows", SZ_T, put("LastQty", "1e30"), quarantined={"LastQty is no number": 1}),
    Case("Shenzhen row twice", SZ_T, body(lambda r: [*r[: AT + 1], r[AT], *r[AT + 1 :]]), quarantined={"ApplSeqNum occurs twice": 1}),
    Case("limit order without a price", SZ_O, put("Price", "0", at=0), quarantined={"Price is not positive": 1}),
    Case("order of unknown side", SZ_O, put("Side", "51"), quarantined={"Side is an unknown code": 1}),
    Case("order of unknown type", SZ_O, put("OrdType", "77"), quarantined={"OrdType is an unknown code": 1}),
    Case("order number twice", SZ_O, same_number, quarantined={"ApplSeqNum occurs twice": 1}),
    Case("order twice", SZ_O, body(lambda r: [*r, r[AT]]), quarantined={"ApplSeqNum occurs twice": 1}),
    Case("Shanghai order of unknown type", SH_O, put("OrderType", "Z"), quarantined={"OrderType is an unknown code": 1}),
    Case("Shanghai order of no side", SH_O, put("OrderBSFlag", "N"), quarantined={"OrderBSFlag is an unknown code": 1}),
    Case("Shanghai order of no balance", SH_O, put("Balance", "0"), quarantined={"Balance is not positive": 1}),
]  # fmt: skip


def test_the_corpus_is_large_and_named_once():
    every = [c.name for c in (*DAMAGED_FILES, *WRONG_DATES, *ACCEPTED, *BAD_ROWS)]
    assert len(every) == len(set(every))
    assert len(every) - len(ACCEPTED) >= 90


def place(root, clean, case=None, day=DAY):
    """The clean files of a day, one of them damaged."""
    folder = root / f"{day:%Y%m%d}"
    folder.mkdir(parents=True)
    names = [SH_M] if day >= MERGED and case is None else [SH_O, SH_T, SZ_O, SZ_T]
    for name in names:
        if case is None or (name != case.file and not case.alone):
            (folder / f"{name}.csv").write_bytes(clean[name])
    if case is not None:
        (folder / f"{case.file}{case.end}").write_bytes(case.change(clean[case.file]))
    return TonglianSource(root)


@pytest.fixture(scope="module")
def expected(clean, tmp_path_factory):
    source = place(tmp_path_factory.mktemp("expected"), clean)
    return {table: source.load(table, DAY) for table in ("trades", "orders")}


def ids(case):
    return case.name.replace(" ", "_")


@pytest.fixture(autouse=True)
def small_bombs(monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)


@pytest.mark.parametrize("case", [*DAMAGED_FILES, *WRONG_DATES], ids=ids)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, clean, expected, case):
    day = case.day or DAY
    source = place(tmp_path, clean, case, day)
    if not case.error:
        pd.testing.assert_frame_equal(source.load("trades", day).frame, expected["trades"].frame)
        return
    with pytest.raises(MgError, match=f"(?s){case.error}") as caught:
        source.load(TABLE[case.file], day)
    assert f"{case.file}{case.end}" in str(caught.value)


@pytest.mark.parametrize("case", ACCEPTED, ids=ids)
def test_an_odd_form_gives_the_same_tables(tmp_path, clean, expected, case):
    source = place(tmp_path, clean, case)
    for table in ("trades", "orders"):
        loaded = source.load(table, DAY)
        assert loaded.quarantine.empty, loaded.quarantine
        pd.testing.assert_frame_equal(loaded.frame, expected[table].frame)


@pytest.mark.parametrize("case", BAD_ROWS, ids=ids)
def test_bad_rows_are_set_aside_and_all_others_kept(tmp_path, clean, expected, case):
    source = place(tmp_path, clean, case)
    table = TABLE[case.file]
    loaded = source.load(table, DAY)
    stream = {SH_T: "sh_trades", SH_O: "sh_orders", SZ_T: "sz_trades", SZ_O: "sz_orders"}[case.file]
    data = lines(clean[case.file])[1:]
    reasons = Counter(loaded.quarantine["reason"])
    assert len(reasons) == len(case.quarantined), reasons
    for reason, count in case.quarantined.items():
        assert sum(n for r, n in reasons.items() if r.startswith(reason)) == (len(data) if count < 0 else count)
    assert loaded.notes["streams"][stream].get("rows_of_other_securities", 0) == case.others
    assert loaded.quarantine["file"].str.contains(case.file).all()
    wanted = expected[table].frame
    if table == "trades":
        # every kept row is a row of the clean file, and as many lack as were damaged
        lost = wanted.merge(loaded.frame, how="left", indicator=True)["_merge"].eq("left_only").sum()
        damaged = (
            sum(n for r, n in case.quarantined.items() if "twice" not in r and "header again" not in case.name)
            + case.others
        )
        assert lost == damaged
        assert len(loaded.frame) == len(wanted) - damaged
    rows_read = loaded.notes["streams"][stream]["rows"]
    assert (
        rows_read
        == len(
            lines(case.change(clean[case.file]).replace(b"\xc2", b"?").replace(b"\xc3", b"?").replace(b"\xf2", b"?"))
        )
        - 1
    )


@pytest.mark.parametrize(
    ("change", "error", "quarantined"),
    [
        (put("BuyOrderNO", "0"), "", "the order's own side has no order number"),
        (put("TickBSFlag", "N"), "", "TickBSFlag of an order is neither buy nor sell"),
        (put("Type", "Q"), "", "Type is an unknown code"),
        (put("Qty", "-1"), "", "Qty is not positive"),
        (without("Type"), "columns lacking", ""),
        (lambda d: d[:-15], "ends inside a row", ""),
    ],
)
def test_damage_in_the_merged_stream(tmp_path, clean, change, error, quarantined):
    """The damaged row is the first new order: status rows stand before it."""
    data = clean[SH_M]
    head, body_rows = cells(data)
    kind, buy = head.index("Type"), head.index("BuyOrderNO")
    first = next(i for i, r in enumerate(body_rows) if r[kind] == "A" and r[buy] != "0")
    body_rows.insert(AT, body_rows.pop(first))
    moved = joined([",".join(r) for r in (head, *body_rows)])
    (tmp_path / f"{MERGED:%Y%m%d}").mkdir()
    (tmp_path / f"{MERGED:%Y%m%d}" / f"{SH_M}.csv").write_bytes(change(moved))
    source = TonglianSource(tmp_path)
    if error:
        with pytest.raises(MgError, match=error):
            source.load("orders", MERGED)
        return
    bad = pd.concat([source.load(t, MERGED).quarantine for t in ("trades", "orders")])
    assert bad["reason"].tolist() == [quarantined]
    assert bad["row"].tolist() == [AT + 2]  # its line: the header is 1


# ------------------------------------------------------------------ tables on disk

HEAD = "date,code,open,high,low,close,preclose,volume,amount,turn,tradestatus,isST,peTTM,pbMRQ,pcfNcfTTM"


def daily() -> bytes:
    """Twenty sessions of two stocks in baostock's columns."""
    out = []
    rng = np.random.default_rng(5)
    for code in ("sh.600000", "sz.000001"):
        close = 10.0
        for day in pd.bdate_range("2023-02-01", periods=20):
            before, close = close, round(close * (1 + rng.normal(0, 0.01)), 2)
            low, high = min(before, close) - 0.1, max(before, close) + 0.1
            out.append(
                f"{day:%Y-%m-%d},{code},{before:.2f},{high:.2f},{low:.2f},{close:.2f},{before:.2f},10000,{close * 10000:.2f},0.1,1,0,5,1,7"
            )
    return joined([HEAD, *out])  # fmt: skip


DAILY = [
    ("volume negative", put("volume", "-5"), "", "volume is negative"),
    ("price zero", put("open", "0"), "", "a price is not positive"),
    ("price absent", put("close", ""), "", "a price is missing"),
    ("price in words", put("close", "N.A."), "", "close is no number"),
    ("volume in words", put("volume", "many"), "", "volume is no number"),
    ("factor in words", put("preclose", "x"), "", "prev_close is no number"),
    ("price overflows", put("high", "1e999"), "", "a price is missing"),
    ("high below close", put("high", "0.5"), "", "high or low do not enclose"),
    ("date that is none", put("date", "2023-13-45"), "", "date is not readable"),
    ("date in words", put("date", "yesterday"), "", "date is not readable"),
    ("a day twice", put("date", "2023-02-01"), "", "the stock has this day twice"),
    ("code in words", put("code", "Pudong"), "", "symbol is not readable"),
    ("a field too many", row(lambda x: x + ",1"), "", "16 fields"),
    ("a field too few", row(lambda x: x.rsplit(",", 1)[0]), "", "14 fields"),
    ("amount negative", put("amount", "-1"), "", "amount is negative"),
    ("cut", lambda d: d[:-20], "ends inside a row", ""),
    ("empty", lambda d: b"", "is empty", ""),
    ("missing column", without("close"), r"columns lacking: \['close'\]", ""),
    ("UTF-16", lambda d: d.decode().encode("utf-16"), "UTF-16", ""),
    ("highs in other units", every("high", lambda x: str(float(x) / 100)), "high or low|rows are bad", ""),
]  # fmt: skip


UNPLACED = (
    "date is not readable", "the stock has this day twice", "symbol is not readable", "16 fields", "14 fields",
)  # fmt: skip
"""Of a row that names no stock and day of its own: the stock's day has no row, which is a halt."""


@pytest.mark.parametrize(("name", "change", "error", "reason"), DAILY, ids=[d[0].replace(" ", "_") for d in DAILY])
def test_damage_in_daily_bars(tmp_path, name, change, error, reason):
    (tmp_path / "daily.csv").write_bytes(change(daily()))
    source = MappedSource("baostock", tmp_path)
    if error:
        with pytest.raises(MgError, match=error) as caught:
            source.days()
        assert "daily.csv" in str(caught.value)
        return
    days = source.days().tolist()
    bad = pd.concat([source.load("daily_bars", d).quarantine for d in days])
    assert bad["reason"].str.startswith(reason).tolist() == [True]
    assert bad["row"].tolist() == [AT + 2]  # its line: the header is 1
    suspended = pd.concat([source.load("daily_bars", d).frame for d in days])["suspended"]
    assert (~suspended).sum() == 39
    assert suspended.sum() == (reason in UNPLACED)


def test_the_quarantine_holds_the_row_itself(tmp_path, clean):
    case = next(c for c in BAD_ROWS if c.name == "a row of one word")
    bad = place(tmp_path, clean, case).load("trades", DAY).quarantine
    assert bad["content"].tolist() == ['{"line": "subtotal"}']
    case = next(c for c in BAD_ROWS if c.name == "negative volume")
    bad = place(tmp_path / "other", clean, case).load("trades", DAY).quarantine
    fields = dict(
        zip(*[next(csv.reader([x])) for x in (lines(clean[SH_T])[0], lines(clean[SH_T])[AT + 1])], strict=True)
    )
    assert f'"seq": {fields["BizIndex"]}' in bad["content"].iloc[0]
