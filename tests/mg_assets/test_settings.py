"""Settings: one reader and one writer of their files, and what a wrong file says."""

import pytest

from mg_assets.errors import DataError
from mg_assets.settings import Settings, load_settings, read_settings_file, write_settings_file


def test_a_written_file_is_read_as_settings(tmp_path, monkeypatch):
    file = tmp_path / "new" / "settings.yaml"
    values = {"lake": "$MG_TEST_FOLDER/lake", "end_date": "2023-12-29", "portfolios": ["csi500_turnover30"]}
    write_settings_file(file, values)
    assert read_settings_file(file) == values
    assert [f.name for f in file.parent.iterdir()] == ["settings.yaml"]
    monkeypatch.setenv("MG_TEST_FOLDER", "/data")
    monkeypatch.setenv("MG_WORKERS", "3")
    expected = Settings(lake="/data/lake", end_date="2023-12-29", portfolios=("csi500_turnover30",), workers=3)
    assert load_settings(str(file)) == expected


def test_dates_of_yaml_become_text(tmp_path):
    (tmp_path / "s.yaml").write_text("end_date: 2023-12-29\naccepted: {labels: {finite: [2015-07-07]}}\n")
    found = load_settings(str(tmp_path / "s.yaml"))
    assert found.end_date == "2023-12-29"
    assert found.accepted == {"labels": {"finite": ("2015-07-07",)}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lake: [", "s.yaml is not YAML: while parsing"),
        ("- lake", "s.yaml must hold settings as name: value, was list"),
        ("lak: x", r"s.yaml: unknown settings \['lak'\]; known are \['accepted', "),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        load_settings(str(tmp_path / "s.yaml"))


def test_an_absent_file_that_was_given_is_an_error(tmp_path):
    with pytest.raises(DataError, match="MG_SETTINGS names a YAML file"):
        load_settings(str(tmp_path / "absent.yaml"))
    assert read_settings_file(tmp_path / "absent.yaml") == {}
