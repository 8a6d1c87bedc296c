"""Simulated events: the same for the same seed, and each with a known outcome."""

from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from producers.simulate.bodies import bodies, wrong_check
from producers.simulate.chance import draw
from producers.simulate.events import Stream, expected_outcomes, generate_events
from schemas import codec, reference
from schemas.avro import CREDIT_EVENT
from schemas.examine import examine
from schemas.uscc import examine_usccs

SUBMISSION = "market-20260101-000000-abcd"


def stream(seed: int = 1, **options: int) -> Stream:
    known = reference.load(None).authorities.by_code.values()
    return Stream(seed, [a for a in known if a.department == "market"], date(2026, 6, 1), **options)


def table(seed: int = 1, count: int = 5_000, **options: int) -> pl.DataFrame:
    batches = generate_events(stream(seed), count, SUBMISSION, 1_790_000_000_000, **options)
    return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches])


def test_the_same_seed_gives_the_same_bytes_in_any_batch_size():
    def bytes_of(seed: int, batch_rows: int) -> list[bytes]:
        batches = generate_events(stream(seed), 3_000, SUBMISSION, 1, batch_rows=batch_rows)
        return [value for batch in batches for value in codec.encode(CREDIT_EVENT, batch)]

    assert bytes_of(1, 3_000) == bytes_of(1, 777)
    assert bytes_of(1, 3_000) != bytes_of(2, 3_000)


def test_a_stream_can_go_on_where_another_part_of_it_ended():
    assert pl.concat([table(count=1_000), table(count=1_000, first=1_000)]).equals(table(count=2_000))


def test_the_mix_is_what_it_says():
    count = 200_000
    expected = expected_outcomes(stream(), count)
    assert sum(expected.values()) == count
    assert {name: round(100 * number / count, 1) for name, number in expected.items()} == {
        "new": pytest.approx(92.1, abs=0.3),
        "repeat": pytest.approx(5.0, abs=0.2),
        "superseding": pytest.approx(2.0, abs=0.2),
        "quarantined": pytest.approx(0.9, abs=0.2),
    }


def test_each_event_becomes_what_is_expected_of_it():
    """The platform's own examination, then the fold in the plainest way: by the order of versions."""
    reference_tables = reference.load(None)
    batch = next(generate_events(stream(), 20_000, SUBMISSION, 1_790_000_000_000))
    examined = examine(batch, "market", reference_tables)
    assert set(examined.rejects["reason"]) == {"subject_code_invalid"}
    seen: dict[str, tuple[str, object]] = {}
    counts = {"new": 0, "repeat": 0, "superseding": 0, "quarantined": examined.rejects.height}
    contents: set[tuple[str, str]] = set()
    columns = ("record_id", "content", "source_version")
    for record, content, version in zip(*(examined.identified.column(c).to_pylist() for c in columns), strict=True):
        if record not in seen:
            counts["new"] += 1
        elif (record, content) in contents:
            counts["repeat"] += 1
            continue
        else:
            assert seen[record][1] is None or version > seen[record][1]
            counts["superseding"] += 1
        contents.add((record, content))
        seen[record] = (content, version)
    assert counts == expected_outcomes(stream(), 20_000)


def test_made_up_codes_pass_every_check_and_the_wrong_ones_only_fail_the_last():
    made = bodies(3, np.arange(20_000), ["370102", "371082"])
    assert examine_usccs(made.codes)["fault"].null_count() == 20_000
    assert set(examine_usccs(wrong_check(made.codes))["fault"].cast(pl.String)) == {"check_digit"}
    assert made.codes.n_unique() == 20_000
    assert set(made.codes.str.slice(8, 2)) == {"XX"}
    assert made.names.str.contains("演示").all()


def test_chance_is_a_function_of_seed_purpose_and_number():
    numbers = np.arange(100_000)
    first = draw(1, "a", numbers)
    assert (first == draw(1, "a", numbers)).all()
    for other in (draw(2, "a", numbers), draw(1, "b", numbers), draw(1, "a", numbers + 1)):
        assert np.mean(first == other) < 0.001
    bits = np.unpackbits(first.view(np.uint8)).reshape(len(numbers), 64).mean(axis=0)
    assert (abs(bits - 0.5) < 0.02).all()


def test_batches_have_the_columns_of_an_event():
    batch = next(generate_events(stream(), 10, SUBMISSION, 1))
    assert batch.schema.equals(CREDIT_EVENT.arrow)
    batch.validate(full=True)
    assert isinstance(batch, pa.RecordBatch)
