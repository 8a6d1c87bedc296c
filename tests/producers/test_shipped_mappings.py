"""Each shipped mapping has cases of its own, and they pass: what is made up there stands for the quirks of its form."""

from pathlib import Path

import pytest

from producers.mapping import load, mappings, path_of
from producers.mapping_cases import Case, cases_path, read_cases, try_cases
from schemas import reference
from schemas.reasons import REASONS
from schemas.settings import Settings

_NAMES = [mapping.name for mapping in mappings(Settings())]
_CASES = [(name, case) for name in _NAMES for case in read_cases(cases_path(path_of(name, Settings())))]


@pytest.mark.parametrize(("name", "case"), _CASES, ids=[f"{name}: {case.why}" for name, case in _CASES])
def test_a_row_becomes_what_its_case_says(name: str, case: Case) -> None:
    (tried,) = try_cases(load(name, Settings()), [case], reference.load(None))
    assert tried.differences == ()


@pytest.mark.parametrize("name", _NAMES)
def test_each_mapping_has_a_row_that_is_good_and_one_that_is_not(name: str) -> None:
    reasons = {case.reason for of, case in _CASES if of == name}
    if name != "honour":
        assert "" in reasons or name == "us-epa-npdes"
        assert reasons & set(REASONS)


def test_no_case_lies_beside_a_mapping_that_is_not_there() -> None:
    folder = path_of(_NAMES[0], Settings()).parent
    assert {path.name for path in Path(folder).glob("*.cases.toml")} == {f"{name}.cases.toml" for name in _NAMES}
