"""Codes that stocks had before."""

from types import SimpleNamespace

import numpy as np
import pytest

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days
from mg_assets.settings import load_settings
from mg_assets.sources import aliases, build_source
from mg_assets.sources.aliases import KNOWN, changes_digest, code_changes, present_code
from mg_assets.sources.io.symbols import to_symbol

DAYS = trading_days("2025-09-24", "2025-10-15")
SWITCH = np.datetime64("2025-10-09")


@pytest.fixture
def given(monkeypatch):
    """Sets the setting ``code_changes``."""
    held = SimpleNamespace(code_changes=())
    monkeypatch.setattr(aliases, "settings", lambda: held)

    def use(changes):
        held.code_changes = changes

    return use


def write(folder, old, new, both=0.0, listing=False):
    """Daily bars of a stock that changes its code on 2025-10-09, and of others; ``both``: the old code goes on."""
    folder.mkdir(exist_ok=True)
    lines = ["ts_code,trade_date,open,high,low,close,pre_close,vol,amount"]
    before = 10.0
    for at, day in enumerate(DAYS):
        close = round(10 + 0.1 * at, 2)
        text = str(day).replace("-", "")
        codes = [(old if day < SWITCH else new, close)] + ([(old, close + both - 1)] if both and day >= SWITCH else [])
        for code, price in [*codes, *((f"60000{i}.SH", close) for i in range(5))]:
            lines.append(f"{code},{text},{price},{price},{price},{price},{before},1000,{price * 100:.2f}")
        before = close
    (folder / "daily.csv").write_text("\n".join(lines) + "\n")
    return build_source("mapped", {"config": "tushare", "root": folder})


def history_of(source, symbol):
    rows = [source.load("daily_bars", day).frame.set_index("symbol") for day in source.days().tolist()]
    return [row.loc[symbol] for row in rows if symbol in row.index]


@pytest.mark.parametrize("changes", [(), [["834033.BJ", "920033.BJ", "2025-10-09"]], "file"])
def test_one_stock_has_one_history(tmp_path, given, changes):
    old, new = ("830799.BJ", "920799.BJ") if changes == () else ("834033.BJ", "920033.BJ")
    if changes == "file":
        changes = str(tmp_path / "bse_mapping.csv")
        (tmp_path / "bse_mapping.csv").write_text(f"name,o_code,n_code,list_date\nX,{old},{new},20200727\n")
    given(changes)
    source = write(tmp_path / "data", old, new)
    rows = history_of(source, new)
    assert len(rows) == len(DAYS)
    assert not any(row.suspended for row in rows)
    assert [row.prev_close for row in rows[1:]] == [row.close for row in rows[:-1]]
    assert history_of(source, old) == []
    assert present_code(old) == to_symbol(f"bj{old[:6]}") == new
    assert "likely_code_changes" not in source.load("daily_bars", DAYS[0].item()).notes


def test_a_pair_that_nobody_named_is_pointed_out(tmp_path, given):
    given(())
    source = write(tmp_path / "data", "834033.BJ", "920033.BJ")
    notes = source.load("daily_bars", DAYS[0].item()).notes
    assert notes["likely_code_changes"].endswith("834033.BJ, 920033.BJ, 2025-10-09")


@pytest.mark.parametrize(("both", "refused"), [(1.0, False), (3.0, True)], ids=["the same rows", "another stock"])
def test_two_stocks_are_not_made_one(tmp_path, given, both, refused):
    given(())
    source = write(tmp_path / "data", "830799.BJ", "920799.BJ", both)
    if refused:
        with pytest.raises(
            SourceError, match=r"830799.BJ and 920799.BJ count as one stock .*close at .* on 2025-10-09"
        ):
            source.days()
    else:
        assert len(history_of(source, "920799.BJ")) == len(DAYS)
        assert len(source.load("daily_bars", DAYS[-1].item()).quarantine) == 1


def test_changes_count_in_the_fingerprint_of_files(tmp_path, given):
    marks = []
    for changes in ((), [["600000.SH", "600900.SH"]]):
        given(changes)
        source = write(tmp_path / "data", "830799.BJ", "920799.BJ")
        marks.append((changes_digest(), source.fingerprint("daily_bars", DAYS[0].item())))
    assert marks[0][0] == ""
    assert marks[0] != marks[1]
    assert "600900.SH" in set(source.load("daily_bars", DAYS[0].item()).frame["symbol"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([["830799", "920799.BJ"]], r"code_changes\[0\] was 830799, 920799.BJ; two codes and a day were expected"),
        ([["830799.BJ"]], r"code_changes\[0\] was 830799.BJ; two codes"),
        ([["830799.BJ", "920799.BJ", "May"]], r"was 830799.BJ, 920799.BJ, May; two codes and a day"),
        ([["600000.SH", "600001.SH"], ["600001.SH", "600000.SH"]], "goes in a circle"),
        ("nowhere.csv", "nowhere.csv cannot be read"),
    ],
)
def test_a_wrong_table_is_one_line(given, changes, message):
    given(changes)
    with pytest.raises(SourceError, match=message) as caught:
        present_code("830799.BJ")
    assert "\n" not in str(caught.value)


def test_a_file_without_the_columns(tmp_path, given):
    given(str(tmp_path / "codes.csv"))
    (tmp_path / "codes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="no rows with columns old and new"):
        code_changes()


def test_known_changes_and_chains(given):
    given([["600000.SH", "600001.SH"], ["600001.SH", "600002.SH"]])
    assert (present_code("600000.SH"), present_code("600001.SH")) == ("600002.SH", "600002.SH")
    assert all(present_code(old) == new for old, new, _ in KNOWN)
    assert present_code("600519.SH") == "600519.SH"


def test_the_setting_is_beside_the_settings_file(tmp_path):
    (tmp_path / "mg.yaml").write_text("code_changes: codes.csv\n")
    assert load_settings(tmp_path / "mg.yaml").code_changes == str(tmp_path / "codes.csv")
    (tmp_path / "mg.yaml").write_text("code_changes: [[830799.BJ, 920799.BJ, '2025-05-06']]\n")
    assert list(load_settings(tmp_path / "mg.yaml").code_changes) == [["830799.BJ", "920799.BJ", "2025-05-06"]]
