"""Repairs that a clerk may accept: only what check digits confirm, only one candidate, never a person's number."""

import random
from collections import Counter
from typing import Any

import polars as pl
import pytest
from case_tables import shared_file
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_persons import foreign_resident, mistyped_resident_id, residence_permit, resident_id, resident_id_15

from producers.mapping import load
from producers.readers import read
from schemas.proposals import ORGANISATION_CODE_BESIDE, Proposal, accepted, propose
from schemas.reference.codes import uscc_prefixes
from schemas.schemes import read_identifier, subject_tables
from schemas.settings import Settings
from schemas.subjects import resolve_subject
from schemas.uscc import compact_code, is_org_code, is_uscc, org_code_check, uscc_check_digit
from tests.schemas.events import REFERENCE, event, examined

TABLES = subject_tables()


def proposals(*ids: str) -> list[Proposal]:
    """Repairs of a row with these identifiers, as the quarantine asks for them."""
    subject = resolve_subject(ids)
    assert subject.reason is not None, "nothing to repair"
    return propose(event(subject_ids=list(ids)), subject.reason, subject.detail or "", REFERENCE)


REPAIRED = [
    ("?:91370100XXXX0O051M", "CN-USCC:91370100XXXX00051M", "O for 0"),
    ("?:9I370100XXXX00051M", "CN-USCC:91370100XXXX00051M", "I for 1"),
    ("?:91370100XXXX000S1M", "CN-USCC:91370100XXXX00051M", "S for 5"),
    ("?:9137O1OOXXXX00051M", "CN-USCC:91370100XXXX00051M", "several letters that can not stand there"),
    ("?:9137010OXXXX0005LM", "CN-USCC:91370100XXXX00051M", "L where only digits stand"),
    ("?:)91370100XXXX00051M：", "CN-USCC:91370100XXXX00051M", "signs around it"),
    ("?:91370100XXXX00501M", "CN-USCC:91370100XXXX00051M", "two digits swapped"),
    ("?:911100006000 6171L", "CN-USCC:91110000600056171L", "a digit lost in a blank"),
    ("?:9l110000600O5617ll", "CN-USCC:91110000600056171L", "lower case letters among them"),
    ("CN-REG:11O1O8000000016", "CN-REG:110108000000016", "letters in a registration number"),
    ("CN-ORG:XXXX0005-I", "CN-ORG:XXXX00051", "a letter for the check digit of an organisation code"),
]


@pytest.mark.parametrize(("written", "meant", "why"), REPAIRED, ids=[case[-1] for case in REPAIRED])
def test_what_is_meant_is_proposed(written: str, meant: str, why: str) -> None:
    (proposal,) = proposals(written)
    assert (proposal.field, proposal.value, proposal.shown) == ("subject_ids", (meant,), meant)
    assert proposal.why_en and proposal.why_zh and proposal.confirmed_by


NOTHING = [
    (("?:91370100XXXX00051N",), "a wrong check character that resembles none"),
    (("?:9.11101066976942E+17",), "digits that are lost"),
    (("?:91370100XX XX0005 1",), "a character lost at the end as likely as in a blank"),
    (("?:91370100XXXX0005",), "too short"),
    (("CN-USCC:00000000000000000X",), "a placeholder"),
    (("?:企合鲁总字第000001",), "an old number of another kind"),
    (("?:1101011990030742S8",), "a resident's number with S for 5"),
    (("?:11010119900307 258",), "a resident's number that lost a digit"),
    (("?:1101O1900307425",), "an old resident's number with O for 0"),
    (("?:8I370100XXXX00051N",), "a body that is out of scope"),
    (("CN-ORG:60005617-2",), "an organisation code with a wrong check"),
]


@pytest.mark.parametrize(("ids", "why"), NOTHING, ids=[case[-1] for case in NOTHING])
def test_nothing_is_proposed_where_nothing_confirms_it(ids: tuple[str, ...], why: str) -> None:
    assert proposals(*ids) == []


def test_a_placeholder_makes_way_for_a_registration_number_that_can_be_read() -> None:
    (proposal,) = proposals("CN-USCC:00000000000000000X", "CN-REG:11O1O8000000016")
    assert proposal.value == ("CN-USCC:00000000000000000X", "CN-REG:110108000000016")


def test_an_organisation_code_beside_it_confirms_once_more_and_another_one_forbids() -> None:
    agreeing = propose(
        event(subject_ids=["?:9111000O600056171L", "CN-ORG:60005617-1"]), "subject_codes_disagree", "", REFERENCE
    )
    assert [ORGANISATION_CODE_BESIDE in proposal.confirmed_by for proposal in agreeing] == [True]
    contradicting = propose(
        event(subject_ids=["?:91370100XXXX0O051M", "CN-ORG:60005617-1"]), "subject_codes_disagree", "", REFERENCE
    )
    assert contradicting == []


def test_an_accepted_proposal_changes_its_field_and_nothing_else() -> None:
    quarantined = event(subject_ids=["?:91370100XXXX0O051M"])
    (proposal,) = proposals("?:91370100XXXX0O051M")
    mended = accepted(quarantined, proposal)
    assert mended == quarantined | {"subject_ids": ["CN-USCC:91370100XXXX00051M"]}
    assert examined(mended).rejects.is_empty()


def test_a_number_inside_of_a_title_is_proposed() -> None:
    title = "关于示例公司的处罚决定（济环罚字[2019]第12号）"
    (proposal,) = propose(event(document_number=title), "document_number_invalid", "document_number", REFERENCE)
    assert (proposal.field, proposal.value) == ("document_number", "济环罚字〔2019〕第12号")
    assert propose(event(document_number="XXX"), "document_number_invalid", "document_number", REFERENCE) == []
    assert propose(event(), "dates_disagree", "valid_to", REFERENCE) == []


def _code(seed: int) -> str:
    """A good code of an enterprise."""
    dice = random.Random(seed)
    while True:
        body = "".join(dice.choice("0123456789") for _ in range(8))
        first = f"9137010{dice.randrange(2, 6)}{body}{org_code_check(body)}"
        code = first + uscc_check_digit(first)
        if is_uscc(code) and code[:2] in uscc_prefixes() and read_identifier(f"?:{code}", TABLES).state == "good":
            return code


_MISREAD = {"0": "O", "1": "I", "2": "Z", "5": "S"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 17))
def test_a_misread_character_leads_back_to_its_code_and_to_no_other(seed: int, place: int) -> None:
    code = _code(seed)
    if code[place] in _MISREAD:
        written = code[:place] + _MISREAD[code[place]] + code[place + 1 :]
        assert [proposal.shown for proposal in proposals(f"?:{written}")] == [f"CN-USCC:{code}"]


def test_nothing_is_ever_proposed_for_what_has_the_form_of_a_personal_number() -> None:
    dice = random.Random(5)
    makers = (resident_id, mistyped_resident_id, resident_id_15, residence_permit, foreign_resident)
    for _ in range(150):
        number = dice.choice(makers)(dice)
        place = dice.randrange(len(number))
        for written in (
            number,
            number.replace("0", "O"),
            number.replace("1", "I").replace("5", "S"),
            f"){number[:6]} {number[6:]}：",
            number[:place] + " " + number[place + 1 :],
        ):
            for scheme in ("?", "CN-USCC", "CN-REG", "CN-ANY", "CN-ORG", "CN-TAX"):
                changed = event(subject_ids=[f"{scheme}:{written}"])
                assert propose(changed, "subject_code_invalid", "alphabet", REFERENCE) == [], f"{scheme} of a person"


# -- lists that were scanned, where they lie ------------------------------------------------------------------------


def _scanned(name: str, mapping_name: str) -> list[list[str]]:
    mapping = load(mapping_name, Settings())
    chunks = read(shared_file(f"cn_credit_blacklists/{name}"), mapping.layout)
    events = pl.concat(pl.DataFrame(pl.from_arrow(mapping.apply(chunk).events)) for chunk in chunks)
    return events["subject_ids"].to_list()


@pytest.mark.parametrize(
    ("name", "mapping", "verdicts"),
    [
        (
            "finance_convicted_firms_2017.xlsx",
            "convicted-organisations",
            {"confirmed by the organisation code": 11, "with a garbled organisation code": 4, "alone": 1},
        ),
        (
            "finance_judgment_debtors_2017.xlsx",
            "court-debtor",
            {"confirmed by the organisation code": 9, "with a garbled organisation code": 4},
        ),
        ("ecommerce_serious_2017.xlsx", "sector-blacklist", {}),
        ("logistics_serious_2017.xls", "sector-blacklist", {}),
    ],
)
def test_proposals_for_scanned_codes_agree_with_the_organisation_codes_beside_them(
    name: str, mapping: str, verdicts: dict[str, int]
) -> None:
    found: Counter[str] = Counter()
    for ids in _scanned(name, mapping):
        code = next((one for one in ids if one.startswith("?:")), "")
        if not code or read_identifier(code, TABLES).state != "faulty":
            continue
        for proposal in propose({"subject_ids": [code]}, "subject_code_invalid", "", REFERENCE):
            beside = compact_code(next((one[7:] for one in ids if one.startswith("CN-ORG:")), ""))
            body = read_identifier(proposal.shown, TABLES).org_code
            found[_verdict(body, beside)] += 1
    assert found == verdicts


def _verdict(body: str, beside: str) -> str:
    if not beside:
        return "alone"
    if beside == body:
        return "confirmed by the organisation code"
    return "contradicted" if is_org_code(beside) else "with a garbled organisation code"


def test_codes_that_were_issued_with_a_fault_are_not_repaired() -> None:
    """Genuine codes of a register that fail a check: a proposal would be another body's code."""
    mapping = load("registration-cn", Settings())
    found: Counter[Any] = Counter()
    for chunk in read(shared_file("cn_registrations/code_dirt.csv"), mapping.layout):
        for ids in pl.DataFrame(pl.from_arrow(mapping.apply(chunk).events))["subject_ids"].to_list():
            subject = resolve_subject(ids)
            if subject.reason == "subject_code_invalid":
                made = propose({"subject_ids": ids}, subject.reason, subject.detail or "", REFERENCE)
                found[len(made)] += 1
    assert set(found) == {0}
