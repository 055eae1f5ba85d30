"""The picture of the graph: every table once, and arrows that say what is made from what, no more."""

import re
from xml.etree import ElementTree

import pytest

from mg_assets.lake.window import UpstreamWindow
from mg_assets.orchestration.partitions import DAILY, WEEKLY
from mg_assets.orchestration.picture import COLORS, graph_picture
from mg_assets.orchestration.staleness import TableAsset, TableRegistry
from mg_assets.settings import CHECKOUT

NEEDS = {
    "ticks": (),
    "bars": ("ticks",),
    "labels": ("bars",),
    "factor": ("ticks", "bars"),
    "model": ("factor", "labels"),
}
GROUPS = {"ticks": "raw", "bars": "bars", "labels": "labels", "factor": "factors", "model": "models"}


def table(name, needs):
    windows = tuple(UpstreamWindow(n) for n in needs)
    return TableAsset(name, WEEKLY if name == "model" else DAILY, windows, "1", None, (), False)


@pytest.fixture(scope="module")
def picture():
    return graph_picture(TableRegistry(table(*entry) for entry in NEEDS.items()), GROUPS)


def rectangles(picture):
    """Boxes of the groups: x, y, width, height of what is drawn with a frame."""
    shapes = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect")
    return [tuple(float(s.get(k)) for k in ("x", "y", "width", "height")) for s in shapes if s.get("stroke")]


def test_every_table_is_drawn_once_in_its_colour(picture):
    texts = re.findall(r">([a-z]+)</text>", picture)
    assert sorted(t for t in texts if t in NEEDS) == sorted([*NEEDS, "bars", "labels"])  # two groups of one name
    assert picture.count(f'height="19" rx="4" fill="{COLORS[WEEKLY]}"') == 1
    assert picture.count(f'height="19" rx="4" fill="{COLORS[DAILY]}"') == len(NEEDS) - 1


def test_an_arrow_that_a_path_implies_is_left_out(picture):
    # raw -> bars -> labels, factors -> models; raw -> factors follows from them
    assert picture.count("marker-end") == 5


def test_boxes_lie_inside_and_apart(picture):
    found = rectangles(picture)
    assert len(found) == len(set(GROUPS.values()))
    for n, (x, y, width, height) in enumerate(found):
        assert x >= 0
        assert x + width <= 960
        for x2, y2, width2, height2 in found[n + 1 :]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y


def test_the_picture_of_the_documents_is_an_image():
    root = ElementTree.fromstring((CHECKOUT / "docs" / "pictures" / "graph.svg").read_text(encoding="utf-8"))
    assert root.get("viewBox").startswith("0 0 960 ")
