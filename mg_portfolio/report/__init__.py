"""Self-contained HTML pages, with the published numbers of the same definition and period beside ours.

- `published`: the numbers printed in the four reports
- `weekly`: the weekly factor report, in Chinese and English
- `tear_sheet`: one factor or signal of anybody's
- `signal_study`: the reports' tables of models; `portfolio_study`: their tables of portfolios
"""
