"""Each field of each entry is printed in a report or ours with a reason, and in one list alone."""

from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

import pytest
import yaml

from mg_models.catalog import CATALOG, COMBINATIONS, REPORTS, derive, override
from mg_models.catalog.provenance import described, fields_of, pages, provenance

ENTRIES = {**CATALOG, **COMBINATIONS}
DOCS = Path(__file__).parents[3] / "docs" / "catalog"


@pytest.mark.parametrize("name", ENTRIES)
def test_every_field_is_in_exactly_one_list(name):
    found = provenance(ENTRIES[name])
    named = [*found["printed"], *found["ours"]]
    assert len(named) == len(set(named))
    assert {field for field in named if " " not in field} == set(fields_of(ENTRIES[name]))
    assert all(len(text) > 4 for lists in found.values() for text in lists.values())


def test_no_line_of_the_lists_is_of_no_entry():
    rules = yaml.safe_load(resources.files("mg_models.catalog").joinpath("provenance.yaml").read_text("utf-8"))
    assert set(rules) == {"every", *(module.__name__.rpartition(".")[2] for module in REPORTS)}
    for module in REPORTS:
        entries = [*module.MODELS, *module.COMBINATIONS]
        for pattern, lists in rules[module.__name__.rpartition(".")[2]].items():
            matched = [e for e in entries if fnmatchcase(e.name, pattern)]
            assert matched, pattern
            for field in [f for part in lists.values() for f in part if " " not in f]:
                assert any(field in fields_of(entry) for entry in matched), (pattern, field)


def test_reports_are_not_said_to_print_what_they_leave_out():
    """Of the fields that were once overstated: hidden size, window and loss of series 88; depth of series 69."""
    ours = provenance(CATALOG["daily_gru_5d"])["ours"]
    assert {
        "network.hidden",
        "network.mlp",
        "inputs.steps",
        "loss.kind",
        "label.transform",
        "seeds",
        "patience",
    } <= set(ours)
    assert "network.layers" in provenance(CATALOG["mtl_mlp"])["ours"]
    weekly = provenance(CATALOG["attention_gru_50_2_nn10"])
    assert {"label.horizons", "network.attention"} <= set(weekly["ours"])
    assert {"network.hidden", "network.layers", "network.mlp"} <= set(weekly["printed"])
    assert all("grad_clip" in provenance(entry)["ours"] for entry in CATALOG.values())
    hf = provenance(CATALOG["hf_gru"])["printed"]
    assert {"max_epochs", "patience", "check_every", "split.since"} <= set(hf)
    assert {"bar to date"} <= set(provenance(CATALOG["lf_multitask"])["ours"])
    assert "network.query" in provenance(CATALOG["alstm"])["printed"]


def test_what_a_deployment_changes_is_ours():
    found = provenance(override(CATALOG["hf_gru"], max_epochs=3))
    assert found["ours"]["max_epochs"] == "set for this deployment; the catalog has 100"
    assert "max_epochs" not in found["printed"]
    assert "- `max_epochs` 3: set for this deployment" in described(override(CATALOG["hf_gru"], max_epochs=3))
    own = derive(CATALOG["hf_gru"], "mine", {}, network={"kind": "sequence"})
    assert provenance(own)["printed"] == {}
    assert set(provenance(own)["ours"]) == set(fields_of(own))


def test_the_pages_are_those_of_the_lists():
    for name, text in pages():
        assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == text, f"docs/catalog/{name}.md: run make docs"
