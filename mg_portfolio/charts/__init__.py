"""Charts as matplotlib figures, from arrays and frames; `style` exports them as PNG, inline SVG or Markdown.

- `figures`: RankIC, layers, NAV, long-short, period returns, training curves
- `evaluation`, `signal_study`, `portfolio`, `deviations`, `what_if`: charts of those results
"""
