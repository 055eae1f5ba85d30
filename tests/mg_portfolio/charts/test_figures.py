import re
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts import figures as charts
from mg_portfolio.charts import style
from mg_portfolio.charts.style import spread_labels, thin


def days(count=300):
    return np.busday_offset("2022-01-04", np.arange(count), roll="forward")


def walk(seed, count=300, rows=None):
    shape = (count,) if rows is None else (rows, count)
    return np.cumprod(1 + 0.01 * np.random.default_rng(seed).standard_normal(shape), axis=-1)


def every_chart():
    rng = np.random.default_rng(0)
    returns = 0.01 * rng.standard_normal(300)
    return {
        "ic": charts.ic_chart(days(), returns, every=5),
        "ic_months": charts.ic_chart(days(), returns),
        "layers": charts.layers_chart(days(), walk(1, rows=5)),
        "nav": charts.nav_chart(days(), walk(2), walk(3)),
        "nav_alone": charts.nav_chart(days(), walk(2)),
        "long_short": charts.long_short_chart(days(), returns),
        "bars": charts.bars_chart({"多空": {"week": 0.0062, "month": -0.01, "year": np.nan}}),
        "training": charts.training_curves(
            {0: {"rank_ic": [0.01, 0.05, 0.04], "loss": [1, 0.9, 0.8], "valid_loss": [1, 1]}}
        ),
        "exposures": charts.exposures_chart({"银行": 0.01, "电子": -0.02}, {"size": 0.1}, 0.02, {"size": 0.2}),
        "weights": charts.weights_chart({"600000.XSHG": 0.0062}, {"000001.XSHE": -0.00531}),
    }


def test_every_chart_is_a_picture_and_leaves_nothing_global():
    before = dict(matplotlib.rcParams)
    for name, fig in every_chart().items():
        assert isinstance(fig, Figure)
        picture = Image.open(BytesIO(charts.png(fig, dpi=60)))
        assert picture.width > 100, name
        assert len(np.unique(np.asarray(picture.convert("L")))) > 8, f"{name} is blank"
    assert dict(matplotlib.rcParams) == before
    for module in (charts, style):
        assert "pyplot" not in Path(module.__file__).read_text()


def test_inline_svgs_share_no_id_and_refer_to_nothing_outside():
    drawn = {name: charts.svg(fig, name) for name, fig in every_chart().items()}
    ids = [found for text in drawn.values() for found in re.findall(r'\bid="([^"]+)"', text)]
    assert len(ids) == len(set(ids)) > 100
    for name, text in drawn.items():
        assert text.startswith("<svg ")
        assert text.endswith("</svg>")
        assert "http" not in text
        assert "<style" not in text
        assert "font-family" not in text
        for reference in re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text):
            assert f'id="{reference}"' in text, name


def test_equal_figures_get_different_ids_from_their_titles():
    one, two = (charts.svg(charts.long_short_chart(days(), np.full(300, 0.001)), title) for title in "ab")
    assert not set(re.findall(r'id="([^"]+)"', one)) & set(re.findall(r'id="([^"]+)"', two))
    again = charts.svg(charts.long_short_chart(days(), np.full(300, 0.001)), "a")
    assert again == one  # nothing random, no date


def test_svg_keeps_text_as_text():
    drawn = every_chart()
    assert "多空" in charts.svg(drawn["bars"])
    assert "银行" in charts.svg(drawn["exposures"])
    weights = charts.svg(drawn["weights"])
    assert "+0.62%" in weights  # coordinates are rounded, words are not
    assert "-0.53%" in weights
    assert 'aria-label="a &lt;b&gt; &quot;c&quot;"' in charts.svg(drawn["bars"], 'a <b> "c"')


def test_markdown_image_is_a_png():
    text = charts.markdown_image(every_chart()["bars"])
    assert text.startswith("![](data:image/png;base64,iVBORw0KGgo")


def bars(fig, axis=0):
    return [patch.get_height() for patch in fig.axes[axis].patches]


def test_ic_bars_are_the_tracks_own_and_their_sum_the_line():
    ic = np.full(300, 0.02)
    ic[::5] = np.linspace(-0.05, 0.1, 60)
    ic[10] = np.nan
    fig = charts.ic_chart(days(), ic, every=5)
    np.testing.assert_allclose(bars(fig), ic[::5][np.isfinite(ic[::5])])
    assert fig.axes[1].lines[0].get_ydata()[-1] == pytest.approx(np.nansum(ic[::5]))
    left, right = (ax.get_ylim() for ax in fig.axes)
    assert left[0] / left[1] == pytest.approx(right[0] / right[1])  # zero at one height


def test_many_bars_become_monthly_means():
    ic = np.random.default_rng(1).standard_normal(300)
    fig = charts.ic_chart(days(), ic)
    months = days().astype("datetime64[M]")
    np.testing.assert_allclose(bars(fig), [ic[months == m].mean() for m in np.unique(months)])


def test_drawdown_keeps_the_deepest_day_of_a_thinned_line():
    count = 4000
    nav = np.linspace(1, 2, count)
    nav[1235] *= 0.7
    fig = charts.nav_chart(days(count), nav)
    shade = fig.axes[2]
    lowest = min(path.vertices[:, 1].min() for path in shade.collections[0].get_paths())
    assert lowest == pytest.approx((nav / np.maximum.accumulate(nav) - 1).min())


def test_nav_starts_at_one_whatever_its_base():
    fig = charts.nav_chart(days(), 250 * walk(5), 3 * walk(6))
    assert [line.get_ydata()[0] for line in fig.axes[0].lines] == [1.0, 1.0]


def test_thin_keeps_the_last_day():
    x, y = thin(days(1000), np.arange(1000.0), limit=100)
    assert len(x) <= 102
    assert (x[-1], y[-1]) == (days(1000)[-1], 999.0)


def test_labels_keep_their_distance_and_order():
    heights = spread_labels([1.0, 1.01, 0.99, 3.0], 0.2)
    assert (np.diff(np.sort(heights)) > 0.2 - 1e-6).all()
    assert np.argsort(heights).tolist() == [2, 0, 1, 3]
    assert heights[3] == 3.0


def test_bars_of_one_series_share_a_scale():
    periods = {"week": 0.003, "month": 0.004, "year": 0.018}
    one = [bar.get_height() for bar in charts.bars_chart({"a": periods}).axes[0].patches]
    np.testing.assert_allclose(one, np.array([0.003, 0.004, 0.018]) / 0.018)
    several = charts.bars_chart({"a": periods, "b": {name: value / 2 for name, value in periods.items()}})
    np.testing.assert_allclose([bar.get_height() for bar in several.axes[0].patches], [1, 1, 1, 0.5, 0.5, 0.5])


def test_charts_of_nothing_do_not_fail():
    empty = np.array([])
    none = np.array([], "datetime64[D]")
    for fig in (
        charts.ic_chart(days(), np.full(300, np.nan)),
        charts.layers_chart(days(), np.full((3, 300), np.nan)),
        charts.long_short_chart(none, empty),
        charts.nav_chart(none, empty, empty),
        charts.bars_chart({}),
        charts.training_curves({}),
        charts.exposures_chart({}, {}),
        charts.weights_chart({}, {}),
    ):
        assert charts.svg(fig).startswith("<svg")


def test_errors_name_the_series():
    with pytest.raises(EvaluationError, match="rank_ic had 3 values on 300 days"):
        charts.ic_chart(days(), np.ones(3))
    with pytest.raises(EvaluationError, match=r"layer_nav had shape \(300,\)"):
        charts.layers_chart(days(), np.ones(300))
