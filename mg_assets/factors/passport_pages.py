"""Passports in Markdown: one factor, or all as a page; published results beside those measured on a lake.

``docs/factors.md`` is :func:`factors_page`, written by ``mg factors --docs``. RankICs are of the factor times its sign:
a positive one means that the sign holds.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from mg_assets.errors import DataError
from mg_assets.factors.passports.spec import UNITS, FactorSpec
from mg_assets.factors.registry import ALL34, PASSPORTS, passports
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake

TESTS = {
    "huatai_72": "all A shares without ST and without what is suspended or at the upper limit on T+1; return T+1..T+6, "
    "weekly; 20-day mean, winsorised, neutral to industry and cap, z-scored",
    "haitong_weekly": "all A shares, top against bottom 10%, rebalanced monthly, orthogonal to common factors",
}
EVALUATIONS = ("input_evaluation", "factor_evaluation")
REPORTS = {"huatai_72": "Huatai series 72", "haitong_weekly": "Haitong weekly"}
FAMILIES = {
    "minute": "Minute-bar factors",
    "trade": "Trade-by-trade factors",
    "order": "Order-by-order factors",
    "monitor": "The weekly monitor's further factors",
    "daily": "Daily price-volume and fundamental factors",
    "common": "Common factors",
    "granular": "Multi-granularity features",
}
TABLES = {
    "daily": "Table `daily_factors`. Inputs of the attention models (Huatai series 69); no RankIC of one of them is "
    "published.",
    "common": "Table `common_factors`. What signals are correlated with and risk is bounded by.",
    "granular": "Tables `features_240m` (the day as one bar), `features_60m` and `features_30m` (columns `ret_1`, "
    "`ret_2`, .. by bar). Inputs of the multi-granularity models; no RankIC of one of them is published.",
}


@dataclass(frozen=True)
class Published:
    """A factor's results in a report's table.

    Attributes
    ----------
    report, table, period : str
        As in ``mg_portfolio/report/published.csv``.
    values : dict of str to float
        Metric -> value, fractions.
    """

    report: str
    table: str
    period: str
    values: dict[str, float]

    @property
    def setting(self) -> str:
        """Universe, horizon and preprocessing of the report's test."""
        return TESTS[self.report]

    @property
    def text(self) -> str:
        """One line: figures, table, period."""
        names = {
            "rank_ic_mean": "RankIC",
            "rank_ic_ir": "IC_IR",
            "rank_ic_positive_ratio": "IC > 0",
            "long_short": "long-short",
            "long_excess": "long excess",
        }
        shown = [
            f"{label} {self.values[m]:.2f}" if m == "rank_ic_ir" else f"{label} {self.values[m]:.2%}"
            for m, label in names.items()
            if m in self.values
        ]
        return f"{', '.join(shown)} ({REPORTS[self.report]}, {self.table}, {self.period.replace('/', '..')})"


@dataclass(frozen=True)
class Measured:
    """A factor's results in the lake's evaluation: RankIC, IC_IR and the days that it was measured on."""

    rank_ic: float
    rank_ic_ir: float
    first_day: str
    last_day: str

    @property
    def text(self) -> str:
        """One line."""
        return f"RankIC {self.rank_ic:.2%}, IC_IR {self.rank_ic_ir:.2f} ({self.first_day}..{self.last_day})"


def passport(name: str) -> FactorSpec:
    """A factor's passport by name.

    Returns
    -------
    FactorSpec

    Raises
    ------
    DataError
        There is no such factor; the message names those that are like it.
    """
    known = passports()
    if name not in known:
        near = difflib.get_close_matches(name, known, 4, 0.4)
        hint = f"; like it are {', '.join(near)}" if near else ""
        raise DataError(f"no factor is named {name!r}{hint}; mg factors lists all {len(known)}")
    return known[name]


def published_results(name: str) -> list[Published]:
    """Results that the reports print of a factor: RankIC tests first, then the monitor's year; empty without any."""
    # imported here: the portfolio library loads solvers
    from mg_portfolio.report.published import published_rows

    found = []
    rows = published_rows(name)
    for (report, table, period), part in rows.groupby(["report", "table", "period"], sort=False):
        values = dict(zip(part["metric"], part["value"].astype(float), strict=True))
        if report in TESTS and ("rank_ic_mean" in values or period == "2023-01-01/2023-12-15"):
            found.append(Published(report, table, period, values))
    return sorted(found, key=lambda p: "rank_ic_mean" not in p.values)


def measured_rank_ic(lake: Lake) -> dict[str, Measured]:
    """Results measured on a lake, by factor; empty before ``mg run`` has evaluated any."""
    return {
        row.name: Measured(row.rank_ic_mean, row.rank_ic_ir, row.first_day, row.last_day)
        for table in EVALUATIONS
        if lake.has(table, WHOLE)
        for row in lake.day(table, WHOLE).itertuples(index=False)
    }


def passport_markdown(spec: FactorSpec, found: Measured | None = None, level: int = 1) -> str:
    """One passport in Markdown, with the published figures, and the lake's if given."""
    rows = [
        ("sign", spec.sign),
        ("units", UNITS.get(spec.units, spec.units)),
        ("lookback", spec.lookback),
        ("inputs", _inputs(spec.inputs)),
        ("source", spec.source),
        ("edges", spec.edges),
        ("rivals", "<br>".join(f"- {r}" for r in spec.rivals)),
        ("why this one", spec.why),
    ]
    rows = [(name, text) for name, text in rows if text]
    printed = published_results(spec.name)
    rows += [("published", p.text) for p in printed] or [("published", "none")]
    if found is not None:
        rows.append(("measured on this lake", found.text))
    lines = [
        f"{'#' * level} `{spec.name}`",
        "",
        spec.meaning,
        "",
        "```text",
        spec.formula,
        "```",
        "",
        "| | |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {k} | {_cell(v)} |" for k, v in rows)])


def _inputs(inputs: Iterable[str]) -> str:
    tables: dict[str, list[str]] = {}
    for name in inputs:
        table, _, column = name.partition(".")
        tables.setdefault(table, []).append(column)
    return "; ".join(f"`{table}`: {', '.join(columns)}" for table, columns in tables.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def factor_overview(names: Iterable[str], found: Mapping[str, Measured] | None = None) -> pd.DataFrame:
    """One row a factor: name, family, sign, published RankIC with its period, and the lake's with its days."""
    found = found or {}
    rows = []
    for spec in map(passport, names):
        test = next((p for p in published_results(spec.name) if "rank_ic_mean" in p.values), None)
        ours = found.get(spec.name)
        rows.append(
            {
                "factor": spec.name,
                "family": spec.family,
                "sign": f"{spec.direction:+d}" if spec.direction else "",
                "published": float("nan") if test is None else test.values["rank_ic_mean"],
                "period": "" if test is None else test.period.replace("/", ".."),
                "ours": float("nan") if ours is None else ours.rank_ic,
                "days": "" if ours is None else f"{ours.first_day}..{ours.last_day}",
            }
        )
    return pd.DataFrame(rows)


def rank_ic_comparison(evaluated: pd.DataFrame) -> str:
    """Published and measured RankIC side by side in Markdown, from the rows of ``factor_evaluation``."""
    found = {
        row.name: Measured(row.rank_ic_mean, row.rank_ic_ir, row.first_day, row.last_day)
        for row in evaluated.itertuples(index=False)
    }
    table = factor_overview([n for n in passports() if n in found], found)
    lines = ["| factor | sign | published | period | ours | days | same sign |", "|---|---|---|---|---|---|---|"]
    for r in table.itertuples(index=False):
        same = "" if pd.isna(r.published) or pd.isna(r.ours) else ("yes" if r.published * r.ours > 0 else "no")
        cells = (r.factor, r.sign, _percent(r.published), r.period, _percent(r.ours), r.days, same)
        lines.append(f"| {' | '.join(cell or '-' for cell in cells)} |")
    return "\n".join([*lines, "", f"RankIC times the sign. Published: {TESTS['huatai_72']}."])


def _percent(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.2%}"


def factors_page() -> str:
    """The whole of ``docs/factors.md``."""
    parts = [_HEAD]
    for family, title in FAMILIES.items():
        specs = [s for s in PASSPORTS.values() if s.family == family]
        parts.append(f"## {title} ({len(specs)})")
        if family in TABLES:
            parts.append(TABLES[family])
        parts.append(_family_table(specs))
        parts += [passport_markdown(spec, level=3) for spec in specs]
    return "\n\n".join(parts) + "\n"


def _family_table(specs: list[FactorSpec]) -> str:
    signed = any(s.direction for s in specs)
    head = ["factor", "measures", *(["sign", "published RankIC"] if signed else ["units"])]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    table = factor_overview([s.name for s in specs]).set_index("factor")
    for s in specs:
        last = [table.loc[s.name, "sign"], _percent(table.loc[s.name, "published"])] if signed else [s.units]
        lines.append("| " + " | ".join([f"[`{s.name}`](#{s.name})", _cell(s.meaning), *last]) + " |")
    return "\n".join(lines)


_HEAD = f"""# Factors

Generated by `mg factors --docs` from the passports in `mg_assets/factors/passports`; a test holds this page to them.
`mg factors` lists all with the RankIC published and the one measured on your lake, `mg factors NAME` prints one.
Factors of your own, with passports of their own, are in the same lists: [extensions.md](extensions.md).

## How to read a passport

- **Bars.** A day has 240 one-minute bars, m = 0 is 09:30-09:31, m = 239 is 14:59-15:00. The opening auction's prints
  belong to bar 0, the lunch break's to 119, the closing auction's to 239. Half-hour k = 1..8 is m = 30(k-1)..30k-1.
- **Returns.** `r_m = close_m / close_{{m-1}} - 1`; of the first bar with trades, close / open - 1: the night is never
  in it.
- **Early** is 09:30-10:00; for trades and orders the stamps from 09:30:00.000 to before 10:00:00.000, without the
  auction. **Late** is 14:30-15:00.
- **Parent orders.** Trades sharing an order ID are aggregated into one parent order with executed amount A. An order
  is **big** where ln A > mean + std + 1e-9, over all buy and sell orders of the stock's day.
- **Active side**: +1 buyer-, -1 seller-initiated; auctions have none. In Shenzhen the larger order number is the active
  one.
- **Flat**: population std <= 1e-12 * max|x|. `skew`, `kurt` are biased, about the mean; `std` is the population's.
- **Sign**: how the source says the factor predicts returns. Factors are stored raw; evaluation multiplies by the sign.
- **Measured** RankIC, of your lake: of the {len(ALL34)} intraday factors and of your own by the published test (table
  `factor_evaluation`); of the daily and common ones and the features of the whole day's bar as they are stored, without
  a sign and neutral to nothing (`input_evaluation`).
- **Published** RankIC (Huatai): {TESTS["huatai_72"]}. Long-short and long excess (Haitong monitor, 2023 to
  mid-December): {TESTS["haitong_weekly"]}.

## Where a value comes from: explain

```python
from mg_assets.factors import explain

day = explain("lake/demo", "000001.SZ", "2023-02-01")  # a Lake, a folder or a URL
day  # in a notebook: every factor, to be opened
day.summary()  # value, stored value, whether they agree, rows counted, reason where NaN
day["bigorder_ret"]  # one factor's path: intermediate values and the rows that count
day.value("bigorder_ret")
day.table("bigorder_ret")  # the rows as a DataFrame; day.steps(..) the intermediate values
day.trades.orders  # parent orders with amount, ln A and whether they are big
day.left_out()  # rows that do not count, with the reason
```

`mg explain 000001.SZ 2023-02-01` and `mg explain 000001.SZ 2023-02-01 bigorder_ret` print the same in a terminal. The
values are recomputed from those rows by the kernels that made the stored ones, and compared with them (1e-9 relative or
1e-12 absolute); the tests recompute each value from the shown table alone, by other arithmetic. `--csv FILE` writes the
whole table, `--html FILE` the notebook's page. One factor of a simulated stock:

```text
early_bigorder_buy_perc of 000224.SZ on 2023-09-28 = 0.5903614458   (stored 0.5903614458: agrees)
  Big buyers against big sellers in the first half-hour.
  = B / (B + S); B, S = amount from 09:30:00.000 to before 10:00:00.000 of trades whose buy, sell order is big

  parent orders                         189  104 buy, 85 sell
  mean of ln A                  11.20070344  A in yuan, buy and sell pooled
  std of ln A                   1.419147394  population
  threshold of ln A             12.61985083  big above 302,504.32 yuan
  big orders                             27
  early amount, buy order big     2,431,527  yuan
  early amount, sell order big    1,687,182  yuan

   seq                    time session  price  volume  amount  buy_order  big_buy  sell_order  big_sell
606338 2023-09-28 09:34:02.758   early   1.19  18,800  22,372     606337     True      606295     False
606339 2023-09-28 09:34:02.758   early   1.19 140,000 166,600     606337     True      606335     False
606341 2023-09-28 09:34:45.534   early   1.19 304,600 362,474     606337     True      606340      True
... 9 more of 12 rows
```"""
