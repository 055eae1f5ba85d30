"""explain: for a stock and a day, the path from raw rows to each intraday factor's value.

1. Read the stock's rows of trades, orders and minute bars (``stock_day.py``).
2. Run the kernels' steps over them: each row's session, bar and whether it counts, the filled bars, the parent orders
   and which are big (``trade_paths.py``, ``order_paths.py``, ``bar_paths.py``).
3. Compute the values with the factors' kernels.
4. Record the rows of each factor and the intermediate values (``recorded_statistics.py``).
"""

import difflib
import html
import math
from collections.abc import Iterator
from functools import cached_property

import pandas as pd

from mg_assets.errors import DataError
from mg_assets.factors.explanation.bar_paths import bar_paths, filled_bars
from mg_assets.factors.explanation.factor_path import SHOWN_ROWS, FactorPath, Recipe, Trail, figure
from mg_assets.factors.explanation.order_paths import intent_paths, marked_orders, order_paths
from mg_assets.factors.explanation.stock_day import StockDay, read_stock
from mg_assets.factors.explanation.trade_paths import StockTrades, marked_trades, trade_paths
from mg_assets.factors.kernels.big_orders import BIG_ORDER_STD
from mg_assets.factors.kernels.intraday import intraday_factors
from mg_assets.factors.registry import ALL34, FACTORS, passports
from mg_assets.lake.store import Lake


def explain(lake: Lake | str, symbol: str, day: str, big_order_std: float = BIG_ORDER_STD) -> "Explanation":
    """Explain the intraday factors of a stock on a day.

    Parameters
    ----------
    lake : Lake or str
        A lake, or its folder or URL.
    symbol : str
        ``600519.SH``.
    day : str
        ``2023-02-01``.
    big_order_std : float
        Multiple of the deviation in the big-order threshold.

    Returns
    -------
    Explanation
        Shows itself in a notebook and as text.

    Raises
    ------
    MissingPartitionError
        The lake has no table of that day; the message names the days that it has, and the remedy.
    DataError
        The day is no date, its tables have no rows, or the stock is in none of them; similar symbols are named.

    Examples
    --------
    >>> day = explain("lake/demo", "600519.SH", "2023-02-01")  # doctest: +SKIP
    >>> day.value("bigorder_ret"), day.table("bigorder_ret")  # doctest: +SKIP
    """
    return Explanation(read_stock(lake if isinstance(lake, Lake) else Lake(lake), symbol, str(day)), big_order_std)


class Explanation:
    """The paths to a stock's intraday factors of one day.

    Parameters
    ----------
    source : StockDay
        The raw rows.
    big_order_std : float
        Multiple of the deviation in the big-order threshold.

    Attributes
    ----------
    bars : DataFrame or None
        The 240 bars as the factors see them; None without the table ``minute_bars``.
    trades : StockTrades or None
        Every trade with its session, active side, whether it counts and whether its orders are big; parent orders.
    orders : DataFrame or None
        Every order with its session, whether it counts and why not.
    """

    def __init__(self, source: StockDay, big_order_std: float = BIG_ORDER_STD):
        self.source = source
        self.big_order_std = big_order_std
        self.bars = None if source.minute_bars is None else filled_bars(source.minute_bars)
        self.trades: StockTrades | None = None if source.trades is None else marked_trades(source.trades, big_order_std)
        self.orders = None if source.orders is None else marked_orders(source.orders)
        self._made = dict(self._recipes())
        self._paths: dict[str, FactorPath] = {}

    @property
    def symbol(self) -> str:
        """The stock."""
        return self.source.symbol

    @property
    def day(self) -> str:
        """The day."""
        return self.source.day

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors that are explained."""
        return ALL34

    def __getitem__(self, factor: str) -> FactorPath:
        """The path of one factor.

        Returns
        -------
        FactorPath

        Raises
        ------
        DataError
            The factor is none of them; the message names similar ones.
        """
        if factor not in FACTORS:
            near = difflib.get_close_matches(factor, ALL34, 3, 0.4)
            spec = passports().get(factor)
            kind = "unknown" if spec is None else f"{'an' if spec.family == 'own' else 'a'} {spec.family} factor"
            hint = f", such as {', '.join(near)}" if near else ""
            raise DataError(
                f"factor {factor!r} is {kind}; explain knows the {len(ALL34)} intraday ones{hint}: {', '.join(ALL34)}"
            )
        if factor not in self._paths:
            self._paths[factor] = self._path(factor)
        return self._paths[factor]

    def value(self, factor: str) -> float:
        """The factor's value, recomputed from the raw rows."""
        return self[factor].value

    def table(self, factor: str) -> pd.DataFrame:
        """The rows that the factor is made of."""
        return self[factor].rows

    def steps(self, factor: str) -> pd.DataFrame:
        """Intermediate values between the rows and the value: step, value, how."""
        return self[factor].table()

    def summary(self) -> pd.DataFrame:
        """One row a factor: value, stored value, whether they agree, number of rows, note, formula."""
        return pd.DataFrame(
            [
                {
                    "factor": path.spec.name,
                    "value": path.value,
                    "stored": math.nan if path.stored is None else path.stored,
                    "agrees": path.agrees,
                    "rows": len(path.rows),
                    "note": path.note,
                    "formula": path.spec.formula,
                }
                for path in (self[name] for name in ALL34)
            ]
        )

    def left_out(self) -> pd.DataFrame:
        """Rows that no factor counts: table, reason, rows."""
        counts = [
            {"table": table, "reason": reason, "rows": int(rows)}
            for table, frame in (("trades", None if self.trades is None else self.trades.rows), ("orders", self.orders))
            if frame is not None
            for reason, rows in frame.loc[~frame["counts"], "why"].value_counts().items()
        ]
        return pd.DataFrame(counts, columns=["table", "reason", "rows"])

    def text(self) -> str:
        """Rows read, parent orders and every value, as plain text."""
        table = self.summary().drop(columns=["formula"])
        table["agrees"] = table["agrees"].map({True: "yes", False: "NO", None: ""})
        return "\n".join([*self._head(), "", table.to_string(index=False, float_format=figure, na_rep="NaN")])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"Explanation({self.symbol!r}, {self.day!r})"

    def _repr_html_(self) -> str:
        head = "<br>".join(html.escape(line) for line in self._head())
        parts = [f"<div>{head}</div>"]
        for name in ALL34:
            path = self[name]
            mark = "" if path.agrees in (True, None) else " &ne; stored"
            title = f"{name} = {figure(path.value)}{mark}"
            parts.append(f"<details><summary><code>{title}</code></summary>{path.html(SHOWN_ROWS)}</details>")
        return "\n".join(parts)

    def _head(self) -> list[str]:
        lines = [f"{self.symbol} on {self.day}"]
        if self.trades is not None:
            trades, orders = self.trades, self.trades.orders
            sides = " and ".join(f"{(orders['side'] == s).sum():,} {s}" for s in ("buy", "sell"))
            lines.append(f"trades: {len(trades.counted):,} of {len(trades.rows):,} count; {sides} parent orders")
            if len(orders):
                lines.append(
                    f"big: ln A > {trades.threshold:.6f} (mean {trades.mean:.6f} + {self.big_order_std:g} * std "
                    f"{trades.std:.6f}), above {math.exp(trades.threshold):,.2f} yuan: {int(orders['big'].sum()):,} "
                    "orders"
                )
        if self.orders is not None:
            cancels = int((self.orders["kind"] == "cancel").sum())
            lines.append(
                f"orders: {int(self.orders['counts'].sum()):,} of {len(self.orders):,} count, {cancels:,} cancels"
            )
        if self.bars is not None:
            lines.append(f"minute bars: {int(self.bars['counts'].sum())} of 240 with trades")
        lines += [f"{table}: the day's table has no row of any stock" for table in self.source.empty]
        lines += [f"left out: {r.rows:,} {r.table}: {r.reason}" for r in self.left_out().itertuples()]
        return lines

    def _path(self, name: str) -> FactorPath:
        spec, trail = FACTORS[name], Trail()
        reason = self._absence(spec.needs)
        if reason:
            trail.no_value(reason)
        rows = pd.DataFrame() if reason else self._made[name](trail)
        stored = None if self.source.stored is None else float(self.source.stored[name])
        return FactorPath(
            spec,
            self.symbol,
            self.day,
            float(self._values[name]),
            rows.reset_index(drop=True),
            tuple(trail.steps),
            trail.note,
            stored,
        )

    @cached_property
    def _values(self) -> pd.Series:
        """The values, from the same kernels that made the stored ones."""
        tables = self.source.trades, self.source.orders, self.source.minute_bars
        found = intraday_factors(*tables, self.big_order_std)
        return found.reindex([self.symbol]).iloc[0]

    def _absence(self, needs: tuple[str, ...]) -> str:
        """Why a factor of these tables has no value at all; empty where it may have one."""
        tables = {"trades": self.trades, "orders": self.orders, "minute_bars": self.bars}
        lacking = [table for table in needs if tables[table] is None]
        if lacking:
            return f"the day has no {' and no '.join(lacking)}"
        in_trades = self.trades is not None and len(self.trades.counted) > 0
        in_bars = self.bars is not None and bool(self.bars["counts"].any())
        traded = {"trades": in_trades, "minute_bars": in_bars, "orders": in_trades or in_bars}
        if self.trades is None and self.bars is None:
            traded["orders"] = True  # orders alone do not show a suspension
        idle = [table for table in needs if not traded[table]]
        return "the stock did not trade that day" if idle else ""

    def _recipes(self) -> Iterator[tuple[str, Recipe]]:
        if self.bars is not None:
            yield from bar_paths(self.bars)
        if self.trades is not None:
            yield from trade_paths(self.trades)
        if self.orders is not None:
            yield from order_paths(self.orders)
        if self.trades is not None and self.orders is not None:
            yield from intent_paths(self.trades, self.orders)
