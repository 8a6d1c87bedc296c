"""What a full list does when it follows another: withdrawn, reinstated, left alone in doubt."""

import polars as pl
import pyarrow as pa
import pytest
from publishing import PERSON, code
from snapshots import NOW_MS, Shelf, barred, counts, numbers, write_list

from producers import snapshot, snapshot_base
from producers.mapping import Mapped
from producers.snapshot import Base, Counts
from producers.snapshot_lines import CLOSED, LISTED, PARTS, of_records, with_ids_of, withdrawals
from producers.stamp import places_of
from schemas.avro import CREDIT_EVENT
from schemas.catalogue import catalogue
from schemas.errors import InputError


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path)


def test_the_first_list_withdraws_nothing(shelf):
    assert counts(shelf.publish([barred(1), barred(2)])) == {"listed": 2, "new": 2}


def test_what_is_absent_is_withdrawn_and_only_that(shelf):
    shelf.publish([barred(1), barred(2), barred(3)])
    plan = shelf.publish([barred(3, until="2027-01-01"), barred(1), barred(4)])
    assert numbers(plan.withdraw) == [2]
    assert counts(plan) == {"stood": 3, "listed": 3, "new": 1, "withdrawn": 1}


def test_the_same_list_in_another_order_and_spelling_withdraws_nothing(shelf):
    shelf.publish([barred(1), barred(2, document="演财采[2023]2号")])
    plan = shelf.publish([barred(2, document="演财采（2023）第2号", name="改名有限公司"), barred(1), barred(1)])
    assert counts(plan) == {"stood": 2, "listed": 2}


def test_what_comes_back_is_reinstated_once(shelf):
    for rows in ([barred(1), barred(2)], [barred(1)], [barred(1)]):
        plan = shelf.publish(rows)
    plan = shelf.publish([barred(2), barred(1)])
    assert (numbers(plan.reopened), plan.reopened.select("row", "part").rows()) == ([2], [(2, 0)])
    assert counts(plan) == {"stood": 1, "listed": 2, "new": 1, "reinstated": 1}
    assert counts(shelf.publish([barred(2), barred(1)])) == {"stood": 2, "listed": 2}


def test_a_withdrawal_closes_the_very_record(shelf):
    shelf.publish([barred(1), barred(2)])
    plan = shelf.compare([barred(1)])
    events = withdrawals(plan.withdraw, "procurement-ban@1", snapshot.day_of(NOW_MS), NOW_MS)
    examined = shelf.judge().examine(Mapped(events, pl.DataFrame()))
    again = with_ids_of(plan.withdraw, examined)
    assert again.select("high", "low").rows() == plan.withdraw.select("high", "low").rows()
    event = pl.DataFrame(pl.from_arrow(events)).to_dicts()[0]
    assert (event["operation"], event["source_row"], event["subject_name"]) == ("withdraw", 0, "")


@pytest.mark.parametrize("category", list(catalogue()))
def test_a_line_holds_whatever_identifies_a_record(category, shelf):
    event = {
        "category": category,
        "operation": "report",
        "authority_name": "演示省财政厅",
        "document_number": "演〔2023〕1号",
        "item": "名单",
        "decided_on": "2023-05-08",
        "valid_to": "2026-05-07",
        "subject_ids": [f"CN-USCC:{code(1)}"],
    }
    columns = []
    for field in CREDIT_EVENT.arrow:
        value = event.get(field.name)
        if value is None and not field.nullable:
            value = [] if pa.types.is_list(field.type) else "" if pa.types.is_string(field.type) else 0
        column = pa.array([value]) if isinstance(value, str) else pa.array([value], field.type)
        columns.append(column.cast(field.type))
    events = pa.RecordBatch.from_arrays(columns, schema=CREDIT_EVENT.arrow)
    found = shelf.judge().examine(Mapped(events, pl.DataFrame()))
    assert found.rejects.height == 0
    line = of_records(pl.DataFrame(pl.from_arrow(found.identified)).with_columns(kind=pl.lit(LISTED)))
    withdrawn = withdrawals(line, "m@1", snapshot.day_of(NOW_MS), NOW_MS)
    again = with_ids_of(line, shelf.judge().examine(Mapped(withdrawn, pl.DataFrame())))
    assert again.select("high", "low").rows() == line.select("high", "low").rows()
    assert {part for parts in catalogue()[category].identity for part in parts.fields} <= {
        *PARTS,
        "authority",
        "subject",
    }


# -- doubt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        (barred(2, date="gestern"), [2]),  # the subject can be read
        (barred(2, code="91370102XX00000000"), [2]),  # its code fails: by document number
        (barred(2, code="", document="演财采〔2099〕9号"), [2]),  # neither: by name
        (barred(2, code="", document="", name=""), [2, 3]),  # nothing: whoever is absent
        (barred(2, name=f"演示{PERSON}"), [2]),  # refused by the guard, about the organisation all the same
        (barred(2, name="", code="9" * 18), []),  # blanked: the source says that it names nobody
        (barred(2, code="9" * 18), [2]),  # a placeholder for a code that is not known
        (barred(9, code=PERSON, document="演财采〔2023〕3号"), []),  # a person's row says nothing of organisations
    ],
    ids=["subject", "document", "name", "nothing", "hidden", "blanked", "placeholder", "person"],
)
def test_a_row_that_can_not_be_read_withdraws_nothing(shelf, row, kept):
    shelf.publish([barred(1), barred(2), barred(3)])
    plan = shelf.publish([barred(1), row])
    assert numbers(plan.withdraw) == [number for number in (2, 3) if number not in kept]
    assert plan.counts.kept_in_doubt == len(kept)


def test_doubt_lasts_as_long_as_the_row_can_not_be_read(shelf):
    bad = barred(2, code="")
    shelf.publish([barred(1), barred(2)])
    for _ in range(3):
        assert shelf.publish([barred(1), bad]).counts.kept_in_doubt == 1
    assert numbers(shelf.publish([barred(1)]).withdraw) == [2]


def test_a_row_that_never_could_be_read_raises_no_doubt(shelf):
    bad = barred(9, code="", document="演财采〔2023〕2号")
    shelf.publish([barred(1), barred(2), bad])
    assert numbers(shelf.publish([barred(1), bad]).withdraw) == [2]


def test_one_more_of_rows_that_look_alike_does(shelf):
    bad = barred(9, code="", document="演财采〔2023〕2号")
    shelf.publish([barred(1), barred(2), bad])
    assert shelf.publish([barred(1), bad, bad]).counts.kept_in_doubt == 1


def test_doubt_opens_nothing_either(shelf):
    shelf.publish([barred(1), barred(2)])
    shelf.publish([barred(1)])
    doubtful = [barred(1), barred(2), barred(2, document="演财采〔2023〕20号", date="gestern")]
    assert shelf.publish(doubtful).counts.reinstated == 0
    assert shelf.publish(doubtful[:2]).counts.reinstated == 1


# -- several lists of one department ------------------------------------------------------------------------------


def test_two_lists_do_not_withdraw_each_other(shelf):
    shelf.publish([barred(1)], "one")
    assert counts(shelf.publish([barred(2)], "two")) == {"listed": 1, "new": 1}
    assert counts(shelf.publish([barred(3)], "one"))["withdrawn"] == 1
    other_mapping = Shelf(shelf.folder, mapping="penalty-2018")
    assert len(other_mapping.lists().others()) == 2


def test_what_another_list_still_holds_is_withdrawn_with_the_last_of_them(shelf):
    shelf.publish([barred(1), barred(2)], "one")
    shelf.publish([barred(1), barred(2)], "two")
    assert counts(shelf.publish([barred(1)], "one")) == {"stood": 2, "listed": 1, "kept_by_other_lists": 1}
    assert numbers(shelf.publish([barred(1)], "two").withdraw) == [2]


def test_what_one_list_withdrew_another_one_may_bring_back(shelf):
    shelf.publish([barred(1), barred(2)], "one")
    shelf.publish([barred(3)], "two")
    shelf.publish([barred(1)], "one")
    assert numbers(shelf.publish([barred(2), barred(3)], "two").reopened) == [2]
    assert shelf.publish([barred(2), barred(3)], "two").counts.reinstated == 0
    # two holds it now, so one neither withdraws nor opens anything
    assert counts(shelf.publish([barred(1), barred(2)], "one")) == {"stood": 1, "listed": 2, "new": 1}


def test_another_departments_lists_do_not_count(shelf):
    shelf.publish([barred(1), barred(2)])
    assert Shelf(shelf.folder, department="reform").lists().others() == []


# -- what a list itself closes ------------------------------------------------------------------------------------


def closing(plan: snapshot.Plan) -> pl.DataFrame:
    return plan.carried.filter(pl.col("kind") == CLOSED)


def test_what_the_list_itself_closed_is_not_withdrawn_and_opened_when_it_stands_again(shelf):
    def base(closed: bool) -> Base:
        lines = pl.concat(list(shelf.survey(shelf.file([barred(1), barred(2)])).lines))
        annulled = lines.filter(pl.col("row") == 3).with_columns(kind=pl.lit(CLOSED), part=pl.lit(1, pl.Int32))
        return Base([pl.concat([lines, annulled]) if closed else lines])

    assert counts(shelf.compare([barred(1)], base(closed=True))) == {"stood": 1, "listed": 1}
    assert numbers(shelf.compare([barred(1), barred(2)], base(closed=True)).reopened) == [2]
    assert counts(shelf.compare([barred(1), barred(2)], base(closed=False))) == {"stood": 2, "listed": 2}
    unreadable = barred(2, document="演财采〔2023〕20号", date="gestern")
    doubtful = shelf.compare([barred(1), barred(2), unreadable], base(closed=True))
    assert (doubtful.counts.reinstated, numbers(closing(doubtful))) == (0, [2])


# -- interruptions ------------------------------------------------------------------------------------------------


def interrupted(shelf: Shelf, rows: list[dict[str, str]]):
    now = shelf.survey(shelf.file(rows))
    plan = snapshot.compare(now, snapshot_base.of_last(shelf.lists().last()), [], shelf.judge())
    return shelf.begin(now, plan)


def places(*rows_and_parts: tuple[int, int]):
    frame = pl.DataFrame(rows_and_parts, schema=["row", "part"], orient="row")
    return places_of(frame["row"], frame["part"])


@pytest.mark.parametrize(
    ("sent", "withdrawn", "reopened"),
    [
        (places(), [1, 2], []),  # nothing of it: as if it had not been
        (places((2, 0)), [1, 2], []),  # 3 was sent and is listed again
        (places((2, 0), (3, 0)), [1, 2, 4], []),  # 4 was sent and has to go with the others
        (places((2, 0), (3, 0), (0, 0)), [2, 4], []),  # 1 has been withdrawn already
        (None, [1, 2, 4], []),  # the topic does not tell
    ],
    ids=["nothing", "a row", "all rows", "a withdrawal", "unknown"],
)
def test_a_newer_list_after_an_interrupted_one_withdraws_what_was_sent(shelf, sent, withdrawn, reopened):
    shelf.publish([barred(1), barred(2)])
    begun = interrupted(shelf, [barred(3), barred(4)])  # would withdraw 1 and 2
    base = snapshot_base.after_interruption(shelf.lists().last(), begun, sent)
    plan = shelf.compare([barred(3)], base)
    assert (numbers(plan.withdraw), numbers(plan.reopened)) == (withdrawn, reopened)


def test_what_an_interrupted_list_withdrew_the_next_one_reinstates(shelf):
    shelf.publish([barred(1), barred(2)])
    begun = interrupted(shelf, [barred(2)])
    base = snapshot_base.after_interruption(shelf.lists().last(), begun, places((2, 0), (0, 0)))
    assert numbers(shelf.compare([barred(1), barred(2)], base).reopened) == [1]
    settled = Base(list(snapshot_base.settled(base)))
    assert counts(shelf.compare([barred(1), barred(2)], settled)) == counts(shelf.compare([barred(1), barred(2)], base))


def test_what_an_interrupted_list_reinstated_is_open(shelf):
    for rows in ([barred(1), barred(2)], [barred(1)]):
        shelf.publish(rows)
    begun = interrupted(shelf, [barred(1), barred(2)])
    sent = snapshot_base.after_interruption(shelf.lists().last(), begun, places((2, 0), (3, 0)))
    assert counts(shelf.compare([barred(1), barred(2)], sent)) == {"stood": 2, "listed": 2}
    unsent = snapshot_base.after_interruption(shelf.lists().last(), begun, places((2, 0)))
    assert shelf.compare([barred(1), barred(2)], unsent).counts.reinstated == 1


# -- lists that are not sent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("withdrawn", [3, 10])
def test_past_the_limit_the_error_says_the_numbers_and_what_to_do(withdrawn):
    snapshot.require_few(Counts(stood=10, listed=8, withdrawn=2), 0.2, "publishing a.csv")
    counted = Counts(stood=10, listed=10 - withdrawn, withdrawn=withdrawn)
    with pytest.raises(InputError, match=rf"{withdrawn} of the 10 records .* more than the limit of 20%.*--shrink-max"):
        snapshot.require_few(counted, 0.2, "publishing a.csv")
    snapshot.require_few(counted, withdrawn / 10, "publishing a.csv")


def test_an_empty_list_and_one_that_is_cut_off_are_not_sent(shelf, tmp_path):
    empty = shelf.survey(write_list(tmp_path / "empty.csv", []))
    with pytest.raises(InputError, match="nothing withdrawn; the list holds no row"):
        snapshot.require_sound(empty, "publishing")
    with pytest.raises(InputError, match="none of its 1 rows can be recorded"):
        snapshot.require_sound(shelf.survey(write_list(tmp_path / "bad.csv", [barred(1, code="")])), "publishing")
    whole = write_list(tmp_path / "whole.csv", [barred(1), barred(2)]).read_bytes()
    (tmp_path / "cut.csv").write_bytes(whole[:-20])
    with pytest.raises(InputError, match="the last row of the list is cut off"):
        snapshot.require_sound(shelf.survey(tmp_path / "cut.csv"), "publishing")
    snapshot.require_sound(shelf.survey(tmp_path / "whole.csv"), "publishing")


LAST = Base(version_ms=1_000_000, acts_version_ms=1_000_000, contents=("old", "last"))


@pytest.mark.parametrize(
    ("rows", "base", "content", "as_of", "version", "acts", "rows_version"),
    [
        (None, Base(), "new", None, NOW_MS, NOW_MS, NOW_MS),  # no version at all: as new as the moment
        (None, LAST, "last", None, 1_000_000, 1_000_000, 1_000_000),  # the same list says what it said
        (None, LAST, "new", 2_000_000, 2_000_000, 2_000_000, 2_000_000),
        ((2_000_000, 2_000_000), LAST, "new", None, 2_000_000, 2_000_000, None),
        ((1_000_000, 1_000_000), LAST, "last", None, 1_000_000, 1_000_000, None),
        ((1_000_000, 1_000_000), LAST, "new", None, 1_000_000, 1_000_010, 1_000_010),  # two lists of one day
        ((500_000, 1_000_000), LAST, "new", None, 1_000_000, 1_000_010, None),  # each row has a version of its own
        ((500_000, NOW_MS * 2), LAST, "new", None, NOW_MS, NOW_MS, None),  # the future is none
    ],
)
def test_how_new_a_list_is(shelf, rows, base, content, as_of, version, acts, rows_version):
    found = shelf.survey(shelf.file([barred(1)]))
    if rows is not None:
        found.version_ms_min, found.version_ms_max, found.versionless = *rows, 0
    said = snapshot.versions(found, base, content, as_of, NOW_MS, "publishing")
    assert (said.version_ms, said.acts_version_ms, said.rows_version_ms) == (version, acts, rows_version)


def test_an_older_list_is_refused(shelf):
    found = shelf.survey(shelf.file([barred(1)]))
    with pytest.raises(InputError, match="older than the last one of 1970-01-01"):
        snapshot.versions(found, LAST, "new", 999_999, NOW_MS, "publishing")
    with pytest.raises(InputError, match="this very list was sent before and a newer one after it"):
        snapshot.versions(found, LAST, "old", None, NOW_MS, "publishing")


def test_no_name_lies_in_the_kept_file(shelf):
    shelf.publish([barred(1), barred(2, name=f"演示{PERSON}"), barred(3, code=PERSON)])
    for path in (shelf.folder / "home").rglob("*.parquet"):
        text = str(pl.read_parquet(path).rows())
        assert PERSON not in text
        assert "演示1有限公司" not in text
