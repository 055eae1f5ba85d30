"""Evaluation of signals: correlations with forward returns, quantile portfolios, confidence, exclusions.

- `evaluate`: `evaluate` one signal, `evaluate_all` many by the same forward returns; the functions below are there too
- `result`: `Evaluation`, metrics by track and year, spread between tracks, confidence, exclusions
- `report_period`: figures over a report's period, its own track beside the mean
- `cases`: universe, execution price and rebalance of an evaluation
- `forward_returns`, `rank_ic`, `ic_decay`, `signal_correlation` (compiled in `rank_kernels`)
- `quantile_portfolios`, `rebalance_days`, `track_metrics`, `long_short`
- `orthogonalize`: residuals on common factors and industries
- `confidence_intervals`: Newey-West, stationary bootstrap
- `tradable_universe`, `universes`, `exclusions`: which stocks, and why not the others

Panels are dense ``(day, stock)`` arrays of float64 with NaN for missing values, masks are bool. Definitions of every
figure: ``docs/evaluation.md``.
"""
