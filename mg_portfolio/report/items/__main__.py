"""``python -m mg_portfolio.report.items FOLDER`` writes the pages of the reports (``make docs``)."""

import sys
from pathlib import Path

from mg_portfolio.report.items import write_pages

if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m mg_portfolio.report.items FOLDER, an existing folder (docs/reports)")
    write_pages(Path(sys.argv[1]))
