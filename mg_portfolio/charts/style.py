"""Style of the figures, and their export as PNG, inline SVG or Markdown.

Figures are built with matplotlib's object interface and leave nothing in its global state; settings that matplotlib
reads only globally are set for the duration of a call, under a lock.
"""

import base64
import functools
import hashlib
import html
import io
import re
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib
import matplotlib.font_manager
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MonthLocator, YearLocator
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

INK, GREY, LINE, FAINT = "#1c2733", "#6b7785", "#c9d0d8", "#eef1f4"
BLUE, BRICK, TEAL, GOLD, SLATE = "#1f5c99", "#b8452f", "#2b8a82", "#c98f1d", "#8794a3"
UP, DOWN = BLUE, BRICK
SERIES = (BLUE, BRICK, TEAL, GOLD, "#6d5a9c", SLATE)
MAX_POINTS = 520  # a line of ten years of days is no finer than this on paper, and an SVG a fifth of the size

_RC = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": GREY,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": LINE,
    "xtick.labelcolor": GREY,
    "xtick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.color": LINE,
    "ytick.labelcolor": GREY,
    "ytick.labelsize": 8,
    "ytick.major.size": 0,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": INK,
    "legend.handlelength": 1.4,
    "figure.facecolor": "white",
    "text.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "mg",
    "path.simplify_threshold": 0.3,
}
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei")
_LABELS = {
    "rank_ic": "RankIC",
    "rank_ic_month": "RankIC, monthly mean",
    "cumulative": "cumulative (right)",
    "layer": "layer",
    "portfolio": "portfolio",
    "benchmark": "benchmark",
    "relative": "relative NAV",
    "drawdown": "drawdown",
    "long_short": "long-short NAV",
    "weekdays": "relative NAV by weekday of the decision",
    "spread": "spread at the end",
    "placebos": "relative NAV beside random signals",
    "placebo_mean": "their mean",
    "validation": "validation RankIC",
    "loss": "loss",
    "train": "training",
    "valid": "validation",
    "check": "check",
    "seed": "seed",
    "industry": "industry deviation",
    "style": "style deviation, standard deviations",
    "overweight": "largest overweights",
    "underweight": "largest underweights",
    "limit": "limit",
    "decay": "RankIC with the return of day n after the purchase",
    "year_rank_ic": "RankIC (line: worst to best track)",
    "year_excess": "excess of the top layer",
    "turnover": "two-way turnover of the top layer, monthly mean",
}
_LOCK = threading.RLock()
_P = ParamSpec("_P")


@functools.lru_cache(maxsize=1)
def _settings() -> Any:
    known = {font.name for font in matplotlib.font_manager.fontManager.ttflist}
    return {**_RC, "font.family": [name for name in _FONTS if name in known]}


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Build the figure under the project's settings."""

    @functools.wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with _LOCK, matplotlib.rc_context(_settings()):
            return draw(*args, **kwargs)

    return wrapped


def _save(fig: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with _LOCK, matplotlib.rc_context(_settings()), warnings.catch_warnings():
        if kind == "svg":
            # Text stays text: the reader's fonts draw the Chinese glyphs that ours may lack
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        fig.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def png(fig: Figure, dpi: int = 144) -> bytes:
    """The figure as PNG bytes."""
    return _save(fig, "png", dpi=dpi)


def svg(fig: Figure, title: str = "") -> str:
    """The figure as an inline ``<svg>`` element, with text as text and ids that no other figure shares.

    Parameters
    ----------
    fig : Figure
    title : str
        For screen readers, and part of the hash in the ids: two equal figures need two titles.

    Returns
    -------
    str
    """
    text = _save(fig, "svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = "c" + hashlib.sha256((title + text).encode()).hexdigest()[:10]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    # Namespaces and the size in points belong to a file of its own; inline, the page decides the width
    text = re.sub(r' xmlns(?::xlink)?="[^"]*"', "", text)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    # A tenth of a point is finer than a screen, and halves the size; the words between tags keep their decimals
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}", tag[0]), text)
    text = re.sub(r" ?\n([LCQz]) ?", r"\1", text)
    # matplotlib's style sheet would apply to the whole page, and its fonts are not the reader's
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)
    text = re.sub(r"font: ((?:\w+ )*?)([\d.]+)px [^;\"]*", _inherit_font, text)
    label = html.escape(title)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip() if label else text.strip()


def _inherit_font(match: re.Match[str]) -> str:
    weight = "; font-weight: 600" if re.search(r"\b(bold|600|700)\b", match[1]) else ""
    return f"font-size: {match[2]}px{weight}"


def markdown_image(fig: Figure, dpi: int = 110) -> str:
    """The figure as a Markdown image with embedded data, for an asset's metadata."""
    return f"![](data:image/png;base64,{base64.b64encode(png(fig, dpi)).decode()})"


def percent_axis(ax: Axes, digits: int = 0) -> None:
    """Write the y axis's fractions as percent."""
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.{digits}f}%"))


def date_axis(ax: Axes, days: np.ndarray) -> None:
    """Ticks at years, or at months where there are few, as numbers that need no translation."""
    if not len(days):
        return
    months = int((days[-1] - days[0]).astype(int)) / 30.4
    if months > 30:
        ax.xaxis.set_major_locator(YearLocator(max(1, round(months / 12 / 8))))
        ax.xaxis.set_major_formatter(DateFormatter("%Y"))
    else:
        ax.xaxis.set_major_locator(MonthLocator(interval=max(1, int(np.ceil(months / 6)))))
        ax.xaxis.set_major_formatter(DateFormatter("%Y-%m"))


def thin(days: np.ndarray, *series: np.ndarray, limit: int = MAX_POINTS) -> tuple[np.ndarray, ...]:
    """Every k-th day and the last one, so that a line keeps at most about ``limit`` points."""
    step = max(1, int(np.ceil(len(days) / limit)))
    at = np.unique(np.append(np.arange(0, len(days), step), max(len(days) - 1, 0))) if len(days) else np.arange(0)
    return (days[at], *(values[at] for values in series))


def spread_labels(values: Sequence[float], gap: float) -> np.ndarray:
    """Heights close to ``values`` with at least ``gap`` between neighbours."""
    wanted = np.asarray(values, float)
    order = np.argsort(wanted, kind="stable")
    placed = wanted[order].copy()
    for _ in range(100):
        close = np.flatnonzero(np.diff(placed) < gap * (1 - 1e-9))
        if not close.size:
            break
        for i in close:
            middle = (placed[i] + placed[i + 1]) / 2
            placed[i], placed[i + 1] = min(placed[i], middle - gap / 2), max(placed[i + 1], middle + gap / 2)
    out = np.empty(len(wanted))
    out[order] = placed
    return out


def labels_with(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Labels of the charts, English by default, with ``labels`` in their place."""
    return {**_LABELS, **(labels or {})}
