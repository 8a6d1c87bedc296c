"""The search that says that nothing was found: it finds what is there, wherever it lies and however it was written."""

import gzip
import hashlib
import random

import polars as pl
import pytest
import synthetic_persons as made
from byte_search import Needles, files, forms_of, leaks

from schemas.hashing import hash_128, to_hex

NUMBER, AS_SENT = "110101199003074258", "１１０１０１ 19900307 4258"
ID = to_hex(*hash_128(pl.DataFrame({"text": [NUMBER]}), ["text"]))[0].as_py()
NEEDLES = Needles(set(forms_of(NUMBER, AS_SENT)))
WRITTEN = {
    "digits": NUMBER.encode(),
    "digits in UTF-16": NUMBER.encode("utf-16-le"),
    "as sent": AS_SENT.encode(),
    "as sent in GB18030": AS_SENT.encode("gb18030"),
    "SHA-256": hashlib.sha256(NUMBER.encode()).hexdigest().encode(),
    "SHA-256 in bytes": hashlib.sha256(NUMBER.encode()).digest(),
    "SHA-256 as sent": hashlib.sha256(AS_SENT.encode()).hexdigest().encode(),
    "our id": ID.encode(),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_each_form_is_found_at_every_place(form):
    for before in range(20):
        for after in (b"", b"\0" * 9):
            assert WRITTEN[form] in NEEDLES.found_in(b"z" * before + WRITTEN[form] + after)


def test_nothing_is_found_where_nothing_is():
    dice = random.Random(3)
    needles = Needles({form for _ in range(500) for form in forms_of(made.resident_id(dice), made.mobile_phone(dice))})
    assert needles.found_in(dice.randbytes(4 << 20)) == set()
    assert needles.found_in(b"") == needles.found_in(b"1101011") == set()


def test_a_short_number_inside_of_a_longer_one_is_chance():
    needles = Needles(set(forms_of("13912345678", "13912345678")))
    assert needles.found_in(b'{"at": 139123456781}') == set()
    assert needles.found_in(b"phone=13912345678,") == {b"13912345678"}


def test_what_lies_over_the_border_of_two_blocks_is_found_in_its_place():
    number = NUMBER.encode()
    assert leaks(NEEDLES, [("log", b"x" * 50 + number[:7]), ("log", number[7:])]) == {"log": {number}}
    assert leaks(NEEDLES, [("log", b"x" * 50 + number[:7]), ("table", number[7:])]) == {}


def test_files_are_searched_packed_or_not_and_by_their_names(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "intake.log").write_bytes(b"skipping " + AS_SENT.encode())
    (tmp_path / f"{NUMBER}.csv").write_bytes(b"")
    (tmp_path / "spool.ndjson.gz").write_bytes(gzip.compress(NUMBER.encode()))
    pl.DataFrame({"detail": [NUMBER] * 100}).write_parquet(tmp_path / "sent.parquet", compression="zstd")
    (tmp_path / "kafka" / "credit.events.reform-0").mkdir(parents=True)
    (tmp_path / "kafka" / "credit.events.reform-0" / "0.log").write_bytes(NUMBER.encode())
    (tmp_path / "good.log").write_bytes(b"nothing")
    found = leaks(NEEDLES, files(tmp_path, frozenset({"credit.events.reform"})))
    # A small table may hold the value unpacked as well.
    assert set(found) - {"sent.parquet"} == {
        "logs/intake.log",
        f"name of {NUMBER}.csv",
        "spool.ndjson.gz, unpacked",
        "sent.parquet, unpacked",
    }
