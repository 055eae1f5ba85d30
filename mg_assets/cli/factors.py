"""``mg factors``: passports of all factors, with the RankIC published and the lake's own. Reads a lake."""

import argparse

from mg_assets.settings import CHECKOUT, settings

DOCS = CHECKOUT / "docs" / "factors.md"


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg factors`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "factors",
        help="factor passports, with the RankIC published and the lake's own",
        description="List all factors with the RankIC published and the lake's own, or print one factor's passport: "
        "formula, source, edge cases, choices.",
    )
    parser.add_argument("name", nargs="?", help="one factor's passport; the list of all without it")
    parser.add_argument("--docs", action="store_true", help="regenerate docs/factors.md")
    parser.add_argument("--lake", help="folder or URL of the lake; the settings' by default")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print one passport or the list of all, or regenerate the document of all."""
    from mg_assets.factors import passport_pages
    from mg_assets.lake.store import Lake

    if chosen.docs:
        DOCS.write_text(passport_pages.factors_page(), encoding="utf-8")
        print(f"wrote {DOCS}")
        return 0
    lake = chosen.lake or settings().lake_url
    found = passport_pages.measured_rank_ic(Lake(lake))
    if chosen.name:
        print(passport_pages.passport_markdown(passport_pages.passport(chosen.name), found.get(chosen.name)))
        return 0
    table = passport_pages.factor_overview(passport_pages.passports(), found)
    for column in ("published", "ours"):
        table[column] = table[column].map(lambda v: "" if v != v else f"{v:.2%}")
    print(table.to_string(index=False))
    print("\nRankIC times the sign; mg factors NAME prints a passport.")
    if not found:
        print(f"{lake} has no evaluation yet: mg run builds it")
    return 0
