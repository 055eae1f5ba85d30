"""build_source: every kind, and errors that list the valid options."""

import pytest

from mg_assets.errors import SourceError
from mg_assets.sources import build_source


def test_build_source_builds_each_kind(tmp_path):
    assert build_source("tonglian", {"root": tmp_path}).name == "tonglian"
    assert build_source("qlib", {"root": tmp_path, "raw_prices": True}).name == "qlib"
    assert build_source("mapped", {"config": "baostock", "root": tmp_path}).name == "baostock"
    both = build_source(
        "composite",
        {"sources": [{"kind": "tonglian", "root": tmp_path}, {"kind": "simulated", "stocks": 20, "end": "2013-02-28"}]},
    )
    assert [s.name for s in both.sources] == ["tonglian", "simulated"]
    assert str(both.days()[0]) == "2013-01-04"
    assert build_source("composite", [{"kind": "tonglian", "root": tmp_path}]).sources[0].root == tmp_path


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("wind", {}, r"kind was 'wind'; one of \['composite'"),
        ("simulated", {"sead": 1}, r"options \['sead'\] are unknown; valid options: .*'seed'"),
        ("tonglian", {"root": "x", "path": "y"}, r"\['path'\] are unknown; valid options: \['check_dates', 'dialect'"),
        ("huatai", {"root": "x", "dialect": "tonglian"}, r"options \['dialect'\] are unknown"),
        ("tonglian", {}, r"options \['root'\] are lacking"),
        ("qlib", {"root": "x", "raw": True}, r"options \['raw'\] are unknown"),
        ("mapped", {"root": "x"}, r"options \['config'\] are lacking"),
        ("mapped", {"root": "x", "config": "wind"}, "neither a YAML file"),
        ("composite", {"sources": []}, "no sources"),
        ("composite", {"source": []}, r"valid options: \['sources'\]"),
        ("composite", {"sources": [{"root": "x"}]}, "a mapping with 'kind'"),
        ("tonglian", ["root"], "a mapping of names"),
        ("tonglian", {"root": "x", "dialect": "wind"}, "tick dialect was 'wind'"),
    ],
)  # fmt: skip
def test_wrong_options_list_the_valid_ones(kind, options, words):
    with pytest.raises(SourceError, match=words):
        build_source(kind, options)
