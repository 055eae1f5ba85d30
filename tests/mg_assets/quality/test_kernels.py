"""The scans against plain Python twins on random, often faulty rows."""

import itertools

import numpy as np
import pytest

from mg_assets.lake.table_view import frozen
from mg_assets.quality.drift import POINTS, psi, sketch
from mg_assets.quality.kernels import bars
from mg_assets.quality.kernels import ticks as kernels
from mg_assets.quality.kernels.marks import no_marks
from mg_assets.quality.suite import EXAMPLES

MINUTE = 60_000


def counts(found: np.ndarray) -> dict[int, list[int]]:
    return {r: [int(x) for x in found[r]] for r in range(len(found))}


def tally(rules: tuple[str, ...], rows: dict[str, list[int]]) -> dict[int, list[int]]:
    """What a kernel should have filled in: count, first rows, -1."""
    out = {}
    for r, rule in enumerate(rules):
        at = rows.get(rule, [])
        first = at[:EXAMPLES]
        out[r] = [len(at), *first, *[-1] * (EXAMPLES - len(first))]
    return out


def ticks(seed: int, n: int = 400) -> dict:
    rng = np.random.default_rng(seed)
    columns = {
        "codes": np.sort(rng.integers(-1, 4, n)).astype(np.int32),
        "time": np.sort(rng.integers(540 * MINUTE, 940 * MINUTE, n)) + rng.integers(-1, 2, n) * 5 * MINUTE,
        "seq": np.arange(n) + rng.integers(0, 3, n),
        "price": rng.choice([1.0, 1.0, 1.0, 1.0, 0.0, np.nan], n)
        * (np.round(rng.normal(10, 3, n), 2) + np.where(rng.random(n) < 0.1, 0.004, 0.0)),
        "volume": rng.integers(-1, 30, n) * 50,
        "side": rng.integers(-2, 3, n).astype(np.int8),
        "order_id": rng.integers(1, 60, n),
        "buy": rng.integers(0, 60, n),
        "sell": rng.integers(0, 60, n),
    }
    return {
        **{name: frozen(values) for name, values in columns.items()},  # as the lake's reader hands them out
        "kind": rng.integers(-1, 4, n).astype(np.int8),
        "up": np.array([12.0, np.nan, 11.0, 14.0]),
        "down": np.array([8.0, np.nan, 9.0, 6.0]),
        "closing": np.array([True, False, True, True]),
        "lots": np.array([0, 200, 100, 0]),
    }


def off_tick(price: float) -> bool:
    return not np.isnan(price) and abs(price * 100 - round(price * 100)) > 1e-4


def outside(price, code, t) -> bool:
    return code >= 0 and (price > t["up"][code] + 1e-6 or price < t["down"][code] - 1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_trades_twin(seed):
    t = ticks(seed)
    rows: dict[str, list[int]] = {}
    for i, (s, time, seq, p, v, side) in enumerate(
        zip(t["codes"], t["time"], t["seq"], t["price"], t["volume"], t["side"], strict=True)
    ):
        same = i > 0 and t["codes"][i - 1] == s
        clock = time / MINUTE
        broken = {
            "bad_price": p <= 0,
            "bad_volume": v <= 0,
            "bad_side": side not in (-1, 0, 1),
            "out_of_session": not (555 <= clock < 691 or 780 <= clock < 931),
            "time_backwards": same and time < t["time"][i - 1],
            "seq_backwards": same and seq <= t["seq"][i - 1],
            "off_tick": p > 0 and off_tick(p),
            "outside_limits": p > 0 and outside(p, s, t),
            "auction_side": side != 0 and (clock < 570 or (s >= 0 and t["closing"][s] and 900 <= clock < 905)),
        }
        for rule, bad in broken.items():
            if bad:
                rows.setdefault(rule, []).append(i)
    found = no_marks(kernels.TRADE_RULES)
    kernels.scan_trades(
        *(t[c] for c in ("codes", "time", "seq", "price", "volume", "side", "up", "down", "closing")), found
    )
    assert counts(found) == tally(kernels.TRADE_RULES, rows)
    assert len(rows) == len(kernels.TRADE_RULES)


@pytest.mark.parametrize("seed", range(4))
def test_orders_twin(seed):
    t = ticks(seed)
    rows: dict[str, list[int]] = {}
    for i in range(len(t["codes"])):
        s, p, v, k, side = (t[c][i] for c in ("codes", "price", "volume", "kind", "side"))
        same = i > 0 and t["codes"][i - 1] == s
        odd = s >= 0 and (v % 100 != 0 if t["lots"][s] == 0 else v < t["lots"][s])
        broken = {
            "bad_price": p <= 0,
            "bad_volume": v <= 0,
            "bad_side": side not in (-1, 1),
            "bad_kind": k < 0,
            "no_price": k == 0 and np.isnan(p),
            "out_of_session": not 555 <= t["time"][i] / MINUTE < 931,
            "time_backwards": same and t["time"][i] < t["time"][i - 1],
            "seq_backwards": same and t["seq"][i] <= t["seq"][i - 1],
            "off_tick": k == 0 and p > 0 and off_tick(p),
            "outside_limits": k == 0 and p > 0 and outside(p, s, t),
            "odd_lots": side == 1 and k != 3 and odd,
        }
        for rule, bad in broken.items():
            if bad:
                rows.setdefault(rule, []).append(i)
    found = no_marks(kernels.ORDER_RULES)
    columns = ("codes", "time", "seq", "price", "volume", "side", "kind", "up", "down", "lots")
    kernels.scan_orders(*(t[c] for c in columns), found)
    assert counts(found) == tally(kernels.ORDER_RULES, rows)


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_numbers_twin(seed, rising):
    t = ticks(seed)
    rng = np.random.default_rng(seed)
    n = 120
    order_codes = np.sort(rng.integers(0, 4, n)).astype(np.int32)
    ids = np.concatenate([rng.choice(60, c, replace=False) + 1 for c in np.bincount(order_codes, minlength=4)])
    if rising:
        ids = np.concatenate([np.sort(ids[order_codes == s]) for s in range(4)])
    side = rng.choice(np.array([-1, 1], np.int8), n)
    volume, cancel = rng.integers(1, 2000, n), rng.random(n) < 0.2
    starts, *known, rows_of, timely = kernels.new_orders(order_codes, ids, side, volume, cancel, 4)
    book = {(s, i): (sd, v) for s, i, sd, v, c in zip(order_codes, ids, side, volume, cancel, strict=True) if not c}
    assert starts[-1] == len(book) == len(rows_of)
    assert [bool(x) for x in timely] == [bool((np.diff(ids[(order_codes == s) & ~cancel]) > 0).all()) for s in range(4)]
    larger, to_orders = np.array([0, 1, 2, 2], np.int8), np.array([2, -1, 0, 3], np.int32)
    rows: dict[str, list[int]] = {}
    filled: dict[tuple[int, int], int] = {}
    for i in range(len(t["codes"])):
        s, sd, v = t["codes"][i], t["side"][i], t["volume"][i]
        if s < 0:
            continue
        for number, wanted in ((t["buy"][i], 1), (t["sell"][i], -1)):
            if to_orders[s] < 0:
                continue
            key = (to_orders[s], number)
            if key not in book:
                rows.setdefault("number_unknown", []).append(i)
                continue
            if book[key][0] != wanted:
                rows.setdefault("number_side", []).append(i)
            before = filled.get(key, 0)
            filled[key] = before + v
            if before <= book[key][1] < filled[key]:
                rows.setdefault("overfilled", []).append(i)
        if larger[s] and 570 <= t["time"][i] / MINUTE < 900 and t["buy"][i] > 0 and t["sell"][i] > 0:
            if sd == 0 and larger[s] == 2:
                rows.setdefault("no_aggressor", []).append(i)
            elif sd != 0 and (sd > 0) != (t["buy"][i] > t["sell"][i]):
                rows.setdefault("wrong_aggressor", []).append(i)
    found = no_marks(kernels.NUMBER_RULES)
    kernels.scan_numbers(
        *(t[c] for c in ("codes", "time", "volume", "buy", "sell", "side")), larger, to_orders, starts, *known, found
    )
    assert counts(found) == tally(kernels.NUMBER_RULES, rows)
    assert len(rows) == len(kernels.NUMBER_RULES)


def test_cancels_twin():
    t = ticks(1)
    cancel = t["kind"] == 3
    known: dict[tuple[int, int], list[int]] = {}
    for i in np.flatnonzero(~cancel & (t["codes"] >= 0)):
        known.setdefault((t["codes"][i], t["order_id"][i]), []).append(int(i))
    starts, ids, sides, volumes, at, _ = kernels.new_orders(
        t["codes"], t["order_id"], t["side"], t["volume"], cancel, 4
    )
    found = no_marks(kernels.CANCEL_RULES)
    kernels.scan_cancels(
        t["codes"], t["order_id"], t["side"], t["volume"], cancel, starts, ids, sides, volumes, at, found
    )
    rows: dict[str, list[int]] = {}
    for i in np.flatnonzero(cancel & (t["codes"] >= 0)):
        first = known.get((t["codes"][i], t["order_id"][i]))
        if first is None:
            rows.setdefault("cancel_unknown", []).append(int(i))
            continue
        if t["side"][first[0]] != t["side"][i]:
            rows.setdefault("cancel_side", []).append(int(i))
        if t["volume"][i] > t["volume"][first[0]]:
            rows.setdefault("cancel_volume", []).append(int(i))
    got = counts(found)
    assert got.pop(0)[0] == sum(len(v) - 1 for v in known.values())
    expected = tally(kernels.CANCEL_RULES, rows)
    expected.pop(0)
    assert got == expected


def test_totals_leave_out_after_hours_and_cancels():
    time = np.array([565, 600, 904, 905, 920, 600, 600]) * MINUTE
    price = np.array([10.0, 11, 12, 13, 14, 0, 15])
    volume = np.array([100, 200, 300, 400, 500, 600, 0])
    total, amount, count = bars.trade_totals(np.zeros(7, np.int32), time, price, volume, 1)
    assert (total[0], amount[0], count[0]) == (600, 1000.0 + 2200 + 3600, 3)


def test_psi_of_sketches_is_small_for_like_and_large_for_unlike():
    rng = np.random.default_rng(3)
    days = [rng.normal(size=(500, 3)) for _ in range(20)]
    for day in days:
        day[:50, 1] = np.nan
        day[:, 2] = 1.0
    past = [sketch(day) for day in days]
    assert past[0].quantiles.shape == (POINTS, 3)
    np.testing.assert_allclose(past[0].null_share, [0.0, 0.1, 0.0], atol=1e-12)
    np.testing.assert_allclose(
        past[0].quantiles[:, 0], np.sort(days[0][:, 0])[((np.arange(POINTS) + 0.5) / POINTS * 500).astype(int)]
    )
    same = psi(rng.normal(size=(500, 3)), past, 10)
    assert (same[:2] < 0.1).all()
    assert np.isnan(same[2])  # flat: no bins
    moved = psi(rng.normal(1, 1, size=(500, 3)), past, 10)
    assert (moved[:2] > 0.5).all()
    assert np.isnan(psi(days[0], past[:5], 10)).all()


def test_psi_equals_its_formula():
    rng = np.random.default_rng(4)
    past, now = rng.normal(size=(64, 1)), rng.normal(0.5, 1, size=(90, 1))
    edges = np.sort(past[:, 0])[(np.arange(1, 10) * 64) // 10]
    bins = [-np.inf, *edges, np.inf]
    p, q = (
        np.array([((x > a) & (x <= b)).sum() + 0.5 for a, b in itertools.pairwise(bins)])
        for x in (now[:, 0], past[:, 0])
    )
    p, q = p / p.sum(), q / q.sum()
    assert psi(now, [sketch(past)], 1)[0] == pytest.approx(np.sum((p - q) * np.log(p / q)))


@pytest.mark.parametrize("seed", range(3))
def test_session_rows_against_a_twin(seed):
    t = ticks(seed)
    exchange, size = np.array([0, 1, 1, 0]), 4
    first, last = np.full(size, 10**12), np.full(size, -1)
    rows, stocks = np.zeros((2, 240), np.int64), np.zeros((2, 240), np.int64)
    kernels.scan_session(t["codes"], t["time"], exchange, first, last, rows, stocks)
    begun, ended = np.full(size, 10**12), np.full(size, -1)
    lines, runs, before = np.zeros((2, 240), np.int64), np.zeros((2, 240), np.int64), (-1, -1)
    for code, time in zip(t["codes"].tolist(), t["time"].tolist(), strict=True):
        if code < 0 or time >= 905 * MINUTE:
            continue
        begun[code], ended[code] = min(begun[code], time), max(ended[code], time)
        clock = time // MINUTE
        minute = clock - 570 if 570 <= clock < 690 else clock - 660 if 780 <= clock < 900 else -1
        if minute >= 0:
            lines[exchange[code], minute] += 1
            runs[exchange[code], minute] += (code, clock) != before
        before = (code, clock)
    for found, wanted in ((first, begun), (last, ended), (rows, lines), (stocks, runs)):
        np.testing.assert_array_equal(found, wanted)
    assert lines.sum() > runs.sum() > 0
