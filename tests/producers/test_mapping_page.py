"""`mappings show`: the page of a mapping says what the mapping says, and the pages in the repository are not stale."""

import json

import pytest
from mapped_rows import shipped

from deploy.reference import MAPPINGS, main, stale
from producers.__main__ import answer
from producers.formats import DATE_STYLES
from producers.mapping import mappings
from producers.mapping_page import DATES, page
from schemas.errors import EXIT_INPUT
from schemas.reasons import REASONS
from schemas.settings import Settings


@pytest.mark.parametrize("name", [mapping.name for mapping in mappings(Settings())])
def test_a_page_names_every_header_that_is_accepted_dropped_or_asked_for(name):
    mapping = shipped(name)
    text = page(mapping)
    for column in mapping.layout.columns:
        for header in column.headers:
            assert header.replace("|", "\\|") in text, (column.name, header)
    assert all(header in text for header in mapping.layout.dropped)
    for word in (mapping.title_zh, mapping.title_en, mapping.rules.source, f"version {mapping.version}"):
        assert word in text
    for rule in (rule for event in mapping.rules.events for rule in event.fields):
        assert f"`{rule.name}`" in text
        for codes in (reading.codes for reading in rule.readings if reading.codes is not None):
            assert all(word in text for pair in codes.words.items() for word in pair)


def test_a_page_lists_the_reasons_that_can_happen_and_no_others():
    penalty, list_69b = page(shipped("penalty-2018")), page(shipped("mx-sat-69b"))
    for reason in ("person_row", "code_unknown", "amounts_disagree", "subject_code_invalid", "dates_disagree"):
        assert f"| `{reason}` | {REASONS[reason].outcome} |" in penalty
    assert "`amounts_disagree`" not in list_69b
    assert "`event_undecodable`" not in penalty + list_69b


def test_a_page_says_of_each_event_of_a_row_when_it_is_made():
    text = page(shipped("mx-sat-69b"))
    assert "## Event 1 of a row" in text
    assert "is filled" in text
    assert "Once for the whole file, from above its header" in text


def test_every_style_of_dates_has_words():
    assert set(DATES) == set(DATE_STYLES)


def test_the_command_prints_the_page(capsys):
    assert answer(["mappings", "show", "penalty-2018"]) == 0
    assert capsys.readouterr().out == page(shipped("penalty-2018"))
    assert answer(["mappings", "show", "penalty-2018", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["page"] == page(shipped("penalty-2018"))
    assert answer(["mappings", "show", "penalti"]) == EXIT_INPUT
    assert "did you mean" in capsys.readouterr().err


def test_a_page_that_says_something_else_or_is_left_over_is_stale(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("deploy.reference.MAPPINGS", tmp_path / "mappings")
    for name in ("reference.PAGE", "alerts.FILE", "dashboard.FILE"):
        monkeypatch.setattr(f"deploy.{name}", tmp_path / name)
    assert main(["write"]) == 0
    assert main(["check"]) == 0
    (tmp_path / "mappings" / "penalty-2018.md").write_text("old", "utf-8")
    (tmp_path / "mappings" / "gone.md").write_text("left over", "utf-8")
    assert [path.name for path in stale()] == ["penalty-2018.md", "gone.md"]
    assert main(["check"]) == 1
    assert "mappings/penalty-2018.md, mappings/gone.md" in capsys.readouterr().out
    assert main(["write"]) == 0
    assert not (tmp_path / "mappings" / "gone.md").exists()


def test_there_is_a_page_for_each_shipped_mapping():
    assert {path.stem for path in MAPPINGS.glob("*.md")} == {mapping.name for mapping in mappings(Settings())}
