"""Print a week's English report without its time: ``report_of_week.py LAKE WEEK DAY``, by the settings."""

import sys
from dataclasses import replace

from mg_assets.assets.report import weekly
from mg_assets.lake.store import Lake
from mg_portfolio.report.weekly.page import render_weekly_report

root, week, day = sys.argv[1:]
print(render_weekly_report(replace(weekly(Lake(root), week, day, "simulated"), generated=None), "en"))
