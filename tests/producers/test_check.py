"""`check` says of each row what the platform would, offline."""

import csv
import random
from pathlib import Path

import pytest
from mapped_rows import PENALTY, shipped

from producers.check import Checked, check
from producers.simulate.people import resident_number
from schemas import reference

CODE = "行政相对人代码_1（统一社会信用代码）"


def checked(
    folder: Path,
    rows: list[dict[str, str]],
    mapping: str = "penalty-2018",
    department: str = "market",
    encoding: str = "gb18030",
) -> Checked:
    path = folder / "a.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(header for row in rows for header in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return check(path, shipped(mapping), department, reference.load(None))


def test_good_rows_are_good(tmp_path):
    found = checked(tmp_path, [PENALTY] * 3)
    assert (found.rows, found.outcomes, found.rejects, found.all_good) == (3, {"good": 3}, [], True)


def test_each_row_that_would_not_be_recorded_is_named_with_its_reason(tmp_path):
    number = resident_number(random.Random(5))
    rows = [
        PENALTY,
        PENALTY | {CODE: "91370100XXXX00052M"},
        PENALTY | {"行政相对人类别": "自然人"},
        PENALTY | {"处罚决定日期": "昨天"},
        PENALTY | {"行政处罚决定书文号": ""},
        PENALTY | {"行政处罚决定书文号": number},
    ]
    found = checked(tmp_path, rows)
    assert found.outcomes == {"good": 1, "quarantined": 3, "refused": 2}
    assert [(reject["row"], reject["reason"]) for reject in found.rejects] == [
        (3, "subject_code_invalid"),
        (4, "person_row"),
        (5, "value_unreadable"),
        (6, "identity_incomplete"),
        (7, "personal_number"),
    ]
    assert sum(found.reasons.values()) == len(found.rejects)
    assert number not in str(found)


def test_a_row_with_several_events_has_the_outcome_of_its_worst(tmp_path):
    row = {
        "RFC": "ZZZ010101VZ4",
        "Nombre del Contribuyente": "EJEMPLO, S.A. DE C.V.",
        "Situación del contribuyente": "Definitivo",
        "Número y fecha de oficio global de presunción SAT": "500-05-2018-1 de fecha 01 de junio de 2018",
        "Número y fecha de oficio global de definitivos SAT": "sin número",
    }
    found = checked(tmp_path, [row], "mx-sat-69b", "mx-sat", "cp1252")
    assert (found.rows, found.outcomes) == (1, {"quarantined": 1, "good": 0})
    assert [reject["reason"] for reject in found.rejects] == ["value_unreadable"]


@pytest.mark.parametrize(
    "bad", [{"行政相对人类别": "自然人"}, {"处罚决定日期": "昨天"}], ids=["all refused", "all set aside"]
)
def test_a_file_without_one_good_row_is_checked_like_any_other(tmp_path, bad):
    found = checked(tmp_path, [PENALTY | bad] * 3)
    assert (found.rows, found.outcomes["good"], len(found.rejects)) == (3, 0, 3)


def test_rows_that_are_no_data_are_not_rows(tmp_path):
    found = checked(tmp_path, [PENALTY, {"行政相对人名称": "合计", "罚款金额（万元）": "0.2"}])
    assert (found.rows, found.skipped) == (1, {"total": 1})
