"""``mg explain`` and ``mg factors``: read a lake, without building anything and without Dagster."""

import argparse
from pathlib import Path

from mg_assets.errors import MgError
from mg_assets.settings import CHECKOUT

COMMANDS = ("explain", "factors")
DOCS = CHECKOUT / "docs" / "factors.md"


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add both commands to the parser of ``mg``."""
    explain = commands.add_parser("explain", help="the path from a stock's raw rows of a day to its intraday factors")
    explain.add_argument("symbol", help="600519.SH")
    explain.add_argument("day", help="2023-02-01")
    explain.add_argument("factor", nargs="?", help="one factor with its rows; all values without it")
    explain.add_argument("--rows", type=int, default=20, help="rows to print of the factor's table (20)")
    explain.add_argument("--csv", type=Path, help="file for the factor's whole table, or for all values")
    explain.add_argument("--html", type=Path, help="file for the page that a notebook would show")
    explain.add_argument("--lake", help="folder or URL of the lake; the settings' by default")
    factors = commands.add_parser("factors", help="factor passports, with the RankIC published and the lake's own")
    factors.add_argument("name", nargs="?", help="one factor's passport; the list of all without it")
    factors.add_argument("--docs", action="store_true", help="write docs/factors.md anew")
    factors.add_argument("--lake", help="folder or URL of the lake; the settings' by default")


def run(chosen: argparse.Namespace, lake_url: str) -> int:
    """Run the chosen command; what a user can mend ends it with one line."""
    try:
        text = (_explain if chosen.command == "explain" else _factors)(chosen, chosen.lake or lake_url)
    except MgError as error:
        raise SystemExit(str(error)) from error
    print(text)
    return 0


def _explain(chosen: argparse.Namespace, lake_url: str) -> str:
    from mg_assets.factors import explain

    day = explain(lake_url, chosen.symbol, chosen.day)
    shown = day[chosen.factor] if chosen.factor else day
    written = []
    if chosen.csv:
        table = day.table(chosen.factor) if chosen.factor else day.summary()
        table.to_csv(chosen.csv, index=False)
        written.append(f"{chosen.csv}: {len(table)} rows")
    if chosen.html:
        chosen.html.write_text(f"<meta charset='utf-8'>\n{shown._repr_html_()}\n", encoding="utf-8")
        written.append(f"{chosen.html}: {shown!r}" if not chosen.factor else f"{chosen.html}: {chosen.factor}")
    return "\n".join([day[chosen.factor].text(chosen.rows) if chosen.factor else day.text(), *written])


def _factors(chosen: argparse.Namespace, lake_url: str) -> str:
    from mg_assets.factors import passport_pages
    from mg_assets.lake.store import Lake

    if chosen.docs:
        DOCS.write_text(passport_pages.factors_page(), encoding="utf-8")
        return f"wrote {DOCS}"
    found = passport_pages.measured_rank_ic(Lake(lake_url))
    if chosen.name:
        return passport_pages.passport_markdown(passport_pages.passport(chosen.name), found.get(chosen.name))
    table = passport_pages.factor_overview(passport_pages.PASSPORTS, found)
    for column in ("published", "ours"):
        table[column] = table[column].map(lambda v: "" if v != v else f"{v:.2%}")
    note = "" if found else f"\n{lake_url} has no evaluation yet: mg run builds it"
    return f"{table.to_string(index=False)}\n\nRankIC times the sign; mg factors NAME prints a passport.{note}"
