"""The trading day's clock: 240 one-minute bars, m = 0 is 09:30-09:31 and m = 239 is 14:59-15:00.

The opening auction's prints belong to bar 0, what is stamped in the lunch break to bar 119, the
closing auction's prints to bar 239; after-hours trades to none. Times are milliseconds since midnight.
"""

from mg_assets.factors.kernels.cache import kernel

MINUTES = 240
EARLY_MINUTES = 30  # the early session, 09:30-10:00, is bars 0..29
LATE_MINUTE = 210  # the late session, 14:30-15:00, is bars 210..239

MS_PER_MINUTE = 60_000
MS_PER_DAY = 86_400_000


def _ms(hour: int, minute: int) -> int:
    return (hour * 60 + minute) * MS_PER_MINUTE


AUCTION_OPEN = _ms(9, 15)
MORNING = _ms(9, 30)
EARLY_END = _ms(10, 0)
LUNCH = _ms(11, 30)
AFTERNOON = _ms(13, 0)
CLOSE = _ms(15, 0)
CLOSE_PRINT_END = _ms(15, 5)
ORDERS_END = CLOSE + 999  # the last millisecond at which an order counts, inclusive


@kernel(nogil=True, inline="always")
def trade_minute(ms):
    """Bar that a trade stamped ``ms`` belongs to, -1 for none."""
    if ms < AUCTION_OPEN or ms >= CLOSE_PRINT_END:
        return -1
    if ms < MORNING:
        return 0
    if ms < LUNCH:
        return (ms - MORNING) // MS_PER_MINUTE
    if ms < AFTERNOON:
        return 119
    if ms < CLOSE:
        return 120 + (ms - AFTERNOON) // MS_PER_MINUTE
    return 239


OUTSIDE, AUCTION, CONTINUOUS, EARLY = range(4)


@kernel(nogil=True)
def trade_piece(ms):
    """Stretch of the clock around a trade's stamp, whose stamps share bar and phase.

    Rows in time order then need the clock once a minute.

    Returns
    -------
    tuple of 4 int
        Bar (-1 for none), phase, first millisecond of the stretch and the first one after it.
    """
    m = trade_minute(ms)
    if ms < AUCTION_OPEN:
        return m, OUTSIDE, 0, AUCTION_OPEN
    if ms >= CLOSE_PRINT_END:
        return m, OUTSIDE, CLOSE_PRINT_END, MS_PER_DAY
    if ms < MORNING:
        return m, AUCTION, AUCTION_OPEN, MORNING
    if ms >= CLOSE:
        return m, AUCTION, CLOSE, CLOSE_PRINT_END
    if LUNCH <= ms < AFTERNOON:
        return m, CONTINUOUS, LUNCH, AFTERNOON
    first = ms - ms % MS_PER_MINUTE
    return m, (EARLY if ms < EARLY_END else CONTINUOUS), first, first + MS_PER_MINUTE


@kernel(nogil=True)
def order_phase(ms):
    """Phase of an order's stamp."""
    if ms < AUCTION_OPEN or ms > ORDERS_END:
        return OUTSIDE
    if ms < MORNING:
        return AUCTION
    return EARLY if ms < EARLY_END else CONTINUOUS
