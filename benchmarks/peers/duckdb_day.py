"""The 34 intraday factors of a day's files in DuckDB's SQL (factors.md, sections 0-4)."""

import duckdb
import pyarrow as pa

MINUTE = """
CASE WHEN ms < 34200000 THEN 0 WHEN ms < 41400000 THEN (ms - 34200000) // 60000 WHEN ms < 46800000 THEN 119
     WHEN ms < 54000000 THEN 120 + (ms - 46800000) // 60000 ELSE 239 END"""
CONTINUOUS = "ms >= 34200000 AND ms < 54000000"
EARLY = "ms >= 34200000 AND ms < 36000000"


def corr(x: str, y: str, least: int = 10, where: str = "true") -> str:
    """Pearson, null for few pairs or a flat side."""
    both = f"FILTER ({where} AND {x} IS NOT NULL AND {y} IS NOT NULL)"
    return (
        f"CASE WHEN count(*) {both} >= {least} AND min({x}) {both} < max({x}) {both} "
        f"AND min({y}) {both} < max({y}) {both} THEN corr({x}, {y}) {both} END"
    )


def strength(x: str) -> str:
    return f"CASE WHEN min({x}) < max({x}) THEN avg({x}) / stddev_pop({x}) END"


def moments(x: str, where: str) -> tuple[str, str]:
    """Skew and excess kurtosis of rows whose deviation from their mean is ``x``; null for few or flat."""
    f = f"FILTER ({where})"
    good = f"count(*) {f} >= 5 AND min({x}) {f} < max({x}) {f}"
    m2, m3, m4 = (f"avg({' * '.join([x] * k)}) {f}" for k in (2, 3, 4))
    return f"CASE WHEN {good} THEN {m3} / pow({m2}, 1.5) END", f"CASE WHEN {good} THEN {m4} / pow({m2}, 2) - 3 END"


SKEW_BUY, KURT_BUY = moments("d_side", "side = 1")
SKEW_SELL, KURT_SELL = moments("d_side", "side = -1")
_, KURT_EARLY = moments("d_early", "minute IS NOT NULL")
SKEW_DAY, _ = moments("(r - r_mean)", "r IS NOT NULL")
SKEW_LATE, _ = moments("(r - r_late)", "minute >= 210 AND r IS NOT NULL")

HALF_HOURS = ", ".join(
    f"sum(volume) FILTER (minute // 30 = {k}) / sum(volume) AS volume_perc{k + 1}" for k in range(1, 7)
)

STEPS = [
    # codes in the place of symbols: every later key is an integer
    """CREATE TEMP TABLE stocks AS
    SELECT symbol, (row_number() OVER (ORDER BY symbol))::INTEGER AS stock
    FROM (SELECT DISTINCT symbol FROM '{minute_bars}')""",
    # minute bars
    """CREATE TEMP TABLE bars AS
    SELECT stock, minute, nullif(close, 'nan') AS close, nullif(open, 'nan') AS open, nullif(high, 'nan') AS high,
        nullif(low, 'nan') AS low, volume, amount, num_trades, volume > 0 AS traded
    FROM '{minute_bars}' JOIN stocks USING (symbol)""",
    """CREATE TEMP TABLE returns AS
    WITH numbered AS (
        SELECT *, lag(close) OVER w AS before, sum(traded::INTEGER) OVER w AS so_far,
            CASE WHEN traded THEN row_number() OVER (
                PARTITION BY stock ORDER BY traded DESC, round(amount * 100) / num_trades DESC, minute) END AS place,
            count(*) FILTER (traded) OVER (PARTITION BY stock) AS bars_traded, lead(open) OVER w AS next_open
        FROM bars WINDOW w AS (PARTITION BY stock ORDER BY minute)),
    r AS (
        SELECT *, CASE WHEN traded AND so_far = 1 THEN close / open - 1
            WHEN minute = 0 THEN close / close - 1 ELSE close / before - 1 END AS r FROM numbered)
    SELECT *, lag(r) OVER w AS r_last, avg(r) OVER p AS r_mean, avg(r) FILTER (minute >= 210) OVER p AS r_late
    FROM r WINDOW w AS (PARTITION BY stock ORDER BY minute), p AS (PARTITION BY stock)""",
    f"""CREATE TEMP TABLE of_bars AS
    SELECT stock, {SKEW_LATE} AS late_skew_ret,
        sum(r * r) FILTER (r < 0) / sum(r * r) AS down_vol_perc,
        {corr("r", "r_last")} AS corr_ret_lastret,
        {corr("close", "next_open")} AS corr_close_nextopen,
        {HALF_HOURS},
        {corr("volume", "num_trades")} AS corr_volume_item,
        {corr("volume", "r", 5, "minute < 30")} AS early_corr_volume_ret,
        product(1 + coalesce(r, 0)) FILTER (place <= (3 * bars_traded + 9) // 10) - 1 AS bigorder_ret,
        (sum(amount) FILTER (r < 0) / sum(num_trades) FILTER (r < 0)) / (sum(amount) / sum(num_trades))
            AS down_single_amt_perc,
        {corr("volume", "(high / low - 1)")} AS corr_volume_amplitude,
        {SKEW_DAY} AS intraday_skew,
        max(close) FILTER (minute = 239) / max(close) FILTER (minute = 29) - 1 AS improved_reversal,
        sum(volume) FILTER (minute >= 210) / sum(volume) AS tail_volume_share
    FROM returns GROUP BY stock""",
    # trades: the session's, with the bar, the active side and the keys of both orders
    f"""CREATE TEMP TABLE session AS
    WITH raw AS (
        SELECT stock, price, volume, seq, side, buy_order, sell_order, (epoch_ms(time) % 86400000)::INTEGER AS ms
        FROM '{{trades}}' JOIN stocks USING (symbol))
    SELECT stock, ({MINUTE})::SMALLINT AS minute, {EARLY} AS early, seq, price, price * volume AS amount,
        CASE WHEN {CONTINUOUS} THEN side ELSE 0 END AS active,
        CASE WHEN buy_order > 0 THEN stock::BIGINT << 42 | buy_order END AS buy,
        CASE WHEN sell_order > 0 THEN stock::BIGINT << 42 | sell_order END AS sell
    FROM raw WHERE price > 0 AND volume > 0 AND ms >= 33300000 AND ms < 54300000""",
    """CREATE TEMP TABLE restored AS
    SELECT (buy >> 42)::INTEGER AS stock, buy AS id, 1 AS side, sum(amount) AS a, ln(sum(amount)) AS log_a
    FROM session WHERE buy IS NOT NULL GROUP BY buy
    UNION ALL
    SELECT (sell >> 42)::INTEGER, sell, -1, sum(amount), ln(sum(amount))
    FROM session WHERE sell IS NOT NULL GROUP BY sell""",
    """CREATE TEMP TABLE threshold AS
    SELECT stock, avg(log_a) + stddev_pop(log_a) + 1e-9 AS threshold FROM restored GROUP BY stock""",
    """CREATE TEMP TABLE big AS
    SELECT id, side FROM restored JOIN threshold USING (stock) WHERE log_a > threshold""",
    """CREATE TEMP TABLE of_orders_restored AS
    SELECT stock, sum(a * a * side) AS squares, coalesce(sum(a) FILTER (log_a > threshold), 0) AS big_amount
    FROM restored JOIN threshold USING (stock) GROUP BY stock""",
    # the price before a trade: rows of a stock lie in sequence
    """CREATE TEMP TABLE flow AS
    SELECT s.stock, s.minute, s.early, s.seq, s.price, s.amount, s.active, b.id IS NOT NULL AS big_buy,
        o.id IS NOT NULL AS big_sell,
        coalesce(ln(s.price / lag(s.price) OVER (PARTITION BY s.stock ORDER BY s.seq)), 0) AS g
    FROM session s LEFT JOIN (SELECT id FROM big WHERE side = 1) b ON s.buy = b.id
    LEFT JOIN (SELECT id FROM big WHERE side = -1) o ON s.sell = o.id""",
    """CREATE TEMP TABLE in_minutes AS
    SELECT stock, minute, arg_min(price, seq) AS open, arg_max(price, seq) AS close,
        sum(active * amount) AS net, sum(amount) AS day,
        sum(amount) FILTER (early) AS early, sum(amount) FILTER (early AND active <> 0) AS known,
        sum(amount) FILTER (early AND active = 1) AS bought, sum(active * amount) FILTER (early) AS early_net,
        sum(amount) FILTER (early AND big_buy) AS big_buy, sum(amount) FILTER (early AND big_sell) AS big_sell,
        sum(g) FILTER (big_buy OR big_sell) AS g_big,
        sum(g) FILTER (early AND ((active = 1 AND big_buy) OR (active = -1 AND big_sell))) AS g_active
    FROM flow GROUP BY stock, minute""",
    """CREATE TEMP TABLE filled AS
    WITH grid AS (SELECT stock, m.minute FROM (SELECT DISTINCT stock FROM in_minutes), range(240) m(minute)),
    filled AS (
        SELECT stock, minute, open, coalesce(net, 0) AS net, close IS NOT NULL AS traded,
            last_value(close IGNORE NULLS) OVER w AS close, coalesce(early_net, 0) AS early_net,
            coalesce(big_buy, 0) - coalesce(big_sell, 0) AS big_net, big_buy, big_sell, day, early, known, bought,
            g_big, g_active
        FROM grid LEFT JOIN in_minutes USING (stock, minute)
        WINDOW w AS (PARTITION BY stock ORDER BY minute ROWS UNBOUNDED PRECEDING)),
    r AS (
        SELECT *, CASE WHEN traded AND lag(close) OVER w IS NULL THEN close / open - 1
            ELSE close / lag(close) OVER w - 1 END AS r
        FROM filled WINDOW w AS (PARTITION BY stock ORDER BY minute))
    SELECT *, lag(r) OVER w AS r_last, lead(r) OVER w AS r_next FROM r
    WINDOW w AS (PARTITION BY stock ORDER BY minute)""",
    f"""CREATE TEMP TABLE of_trades AS
    SELECT stock, big_amount / (2 * sum(day)) AS bigorder_amt_perc,
        sum(big_buy) / (sum(big_buy) + sum(big_sell)) AS early_bigorder_buy_perc,
        coalesce(sum(g_big), 0) AS bigorder_ret2, coalesce(sum(g_active), 0) AS early_active_bigorder_ret,
        squares / pow(sum(day), 2) AS concentration_diff, sum(bought) / sum(known) AS early_active_buy_perc,
        {corr("net", "r_last")} AS corr_netactivebuy_lastret, {corr("net", "r_next")} AS corr_netactivebuy_nextret,
        sum(early) AS early_amount
    FROM filled JOIN of_orders_restored USING (stock) GROUP BY stock, big_amount, squares""",
    # orders
    f"""CREATE TEMP TABLE entered AS
    WITH raw AS (
        SELECT stock, side, price, volume::DOUBLE AS volume, kind, (epoch_ms(time) % 86400000)::INTEGER AS ms
        FROM '{{orders}}' JOIN stocks USING (symbol))
    SELECT stock, side, price, volume, kind = 'limit' AS is_limit, kind <> 'cancel' AS new,
        CASE WHEN {EARLY} THEN ((ms - 34200000) // 60000)::SMALLINT END AS minute
    FROM raw WHERE volume > 0 AND (price IS NULL OR price > 0) AND ms >= 33300000 AND ms < 54001000""",
    """CREATE TEMP TABLE book AS
    SELECT stock, minute, sum(side * (price * volume) * CASE WHEN is_limit THEN 1 ELSE -1 END) AS book
    FROM entered WHERE minute IS NOT NULL AND price IS NOT NULL AND (is_limit OR NOT new) GROUP BY stock, minute""",
    """CREATE TEMP TABLE means AS
    SELECT stock, avg(volume) FILTER (side = 1) AS buy, avg(volume) FILTER (side = -1) AS sell,
        avg(volume) FILTER (minute IS NOT NULL) AS early
    FROM entered WHERE new GROUP BY stock""",
    f"""CREATE TEMP TABLE of_orders AS
    WITH deviations AS (
        SELECT e.*, volume - CASE WHEN side = 1 THEN buy ELSE sell END AS d_side, volume - early AS d_early
        FROM entered e JOIN means USING (stock) WHERE new)
    SELECT stock, {SKEW_BUY} - {SKEW_SELL} AS skew_order_diff, {KURT_BUY} - {KURT_SELL} AS kurt_order_diff,
        {KURT_EARLY} AS early_kurt_order,
        {corr("volume", "price", 10, "side = 1 AND is_limit")} AS corr_buyorder_volume_price
    FROM deviations GROUP BY stock""",
    f"""CREATE TEMP TABLE of_early AS
    WITH nets AS (
        SELECT stock, early_net + coalesce(book, 0) AS intent, big_net
        FROM filled LEFT JOIN book USING (stock, minute) WHERE minute < 30)
    SELECT stock, sum(intent) AS intent, {strength("intent")} AS open_buy_intent_strength, sum(big_net) AS big_net,
        {strength("big_net")} AS open_big_net_buy_strength
    FROM nets GROUP BY stock""",
]
LAST = """
SELECT * EXCLUDE (stock, intent, big_net, early_amount), intent / early_amount AS open_buy_intent_share,
    big_net / early_amount AS open_big_net_buy_share
FROM stocks JOIN of_bars USING (stock) LEFT JOIN of_trades USING (stock) LEFT JOIN of_orders USING (stock)
LEFT JOIN of_early USING (stock) ORDER BY symbol"""


def factors(paths: dict[str, str], memory_gb: float = 8.0) -> pa.Table:
    """All 34 factors of a day's files; what does not fit ``memory_gb`` goes to disk."""
    with duckdb.connect(config={"memory_limit": f"{memory_gb}GB", "preserve_insertion_order": False}) as db:
        for step in STEPS:
            db.execute(step.format(**paths) if "'{" in step else step)
        return db.sql(LAST).to_arrow_table()
