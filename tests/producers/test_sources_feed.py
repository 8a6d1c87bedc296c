"""Feeds as rows of text, from a real service on this machine: pages of every kind, and every way to go wrong."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pulling import NOW, Answer, Taken, feed, item, mapping, page

from producers.sources import source_file
from producers.sources.feed import open_feed
from producers.sources.source_file import FeedSource
from schemas.errors import InputError, Retryable, XinliuError


def source(path: Path, url: str, body: str = "", environ: dict[str, str] | None = None) -> FeedSource:
    """A source file with this [feed], as it is read."""
    path.write_text(f'[feed]\nurl = "{url}"\n{body}\n', "utf-8")
    reads = source_file.load(path, environ or {}).reads
    assert isinstance(reads, FeedSource)
    return reads


def take(reads: FeedSource, since: str | None = None, slept: list[float] | None = None) -> Taken:
    waits: list[float] = [] if slept is None else slept
    with open_feed(reads, mapping().layout, since, NOW, waits.append) as reading:
        rows = list(reading.rows())
        return Taken(rows, reading.end())


def names(*numbers: int) -> list[str]:
    return [f"演示{n}有限公司" for n in numbers]


def in_pages(parameter: str, first: int, by_rows: bool) -> Callable[[dict[str, str], int], Answer]:
    """Five organisations, two on a page, asked for by number."""

    def answer(asked: dict[str, str], before: int) -> Answer:
        start = (int(asked[parameter]) - first) * (1 if by_rows else 2)
        return page([item(n) for n in range(5)][start : start + 2])

    return answer


@pytest.mark.parametrize(
    ("paging", "answer", "asked"),
    [
        ('{ kind = "page", parameter = "p" }', in_pages("p", 1, False), ["1", "2", "3", "4"]),
        ('{ kind = "page", parameter = "p", first = 0 }', in_pages("p", 0, False), ["0", "1", "2", "3"]),
        ('{ kind = "offset", parameter = "p" }', in_pages("p", 0, True), ["0", "2", "4", "5"]),
    ],
)
def test_pages_and_offsets_end_with_an_empty_page(tmp_path, paging, answer, asked):
    with feed(answer) as service:
        read = take(source(tmp_path / "s.toml", service.url, f"paging = {paging}"))
        assert read.names == names(0, 1, 2, 3, 4)
        assert [parameters["p"] for parameters in service.asked] == asked


def test_a_cursor_is_handed_back_until_there_is_none(tmp_path):
    def answer(asked: dict[str, str], before: int) -> Answer:
        cursor = [{"next": "b"}, {"next": "ä&c"}, {"next": None}][before]
        return page([item(before)], cursors=cursor)

    paging = '{ kind = "cursor", parameter = "c", member = "cursors.next", size_parameter = "n", size = 1 }'
    body = f'rows = "data"\npaging = {paging}'
    with feed(answer) as service:
        read = take(source(tmp_path / "s.toml", service.url + "?c=a&x=1", body))
        assert read.names == names(0, 1, 2)
        assert [parameters["c"] for parameters in service.asked] == ["a", "b", "ä&c"]
        assert all((parameters["x"], parameters["n"]) == ("1", "1") for parameters in service.asked)


@pytest.mark.parametrize("in_header", [True, False])
def test_links_are_followed_on_the_same_host(tmp_path, in_header):
    def answer(asked: dict[str, str], before: int) -> Answer:
        if before == 2:
            return page([item(2)])
        said = page([item(before)], links={} if in_header else {"next": f"/list?n={before + 1}"})
        if in_header:
            said.headers["Link"] = f'</list?n=0>; rel="prev", </list?n={before + 1}>; rel="next"'
        return said

    body = 'paging = { kind = "next_link" }' if in_header else 'paging = { kind = "next_link", member = "links.next" }'
    with feed(answer) as service:
        assert take(source(tmp_path / "s.toml", service.url, body)).names == names(0, 1, 2)


def test_headers_and_parameters_come_from_the_environment_and_are_never_shown(tmp_path):
    body = 'headers = { Authorization = "Bearer env:FEED_TOKEN" }\nparameters = { key = "env:FEED_KEY" }'
    with feed(lambda asked, before: page([item(1)])) as service:
        reads = source(tmp_path / "s.toml", service.url, body, {"FEED_TOKEN": "geheim1", "FEED_KEY": "geheim2"})
        take(reads)
        assert service.headers[0]["Authorization"] == "Bearer geheim1"
        assert service.asked[0] == {"key": "geheim2"}
        assert "geheim" not in repr(reads)


def test_numbers_keep_their_digits_and_nested_objects_become_rows(tmp_path):
    body = '{"list": [{"amount": 10000000000000000.10, "parties": [{"企业名称": "甲", "统一社会信用代码": 911101}, '
    body += '{"企业名称": "乙", "统一社会信用代码": 1e3}]}]}'
    with feed(lambda asked, before: Answer(f'{{"result": {body}, "other": []}}'.encode())) as service:
        read = take(source(tmp_path / "s.toml", service.url, 'rows = "result.list[].parties[]"'))
    cells = read.rows[0].chunk.cells
    assert cells["统一社会信用代码"].to_list() == ["911101", "1e3"]
    assert cells["amount"].to_list() == ["10000000000000000.10"] * 2


@pytest.mark.parametrize(
    ("moments", "watermark", "asked"),
    [
        (["2026-04-01T10:00:00Z", "2026-04-02T10:00:00Z", ""], "2026-04-02T10:00:00Z", "2026-04-02T09:55:00Z"),
        (["2026-04-02T10:00+08:00", "2026-04-01T10:00+08:00"], "2026-04-02T10:00+08:00", "2026-04-02T09:55:00+08:00"),
        (["2026-04-02 10:00:00", "2999-01-01 00:00:00"], "2026-04-02 10:00:00", "2026-04-02 09:55:00"),
        (["2026-04-02", "2026-04-01"], "2026-04-02", "2026-04-01"),
        (["1000", "999"], "1000", "700"),
    ],
)  # fmt: skip
def test_a_feed_is_asked_from_the_watermark_on_less_the_overlap(tmp_path, moments, watermark, asked):
    rows = [item(n, moment) for n, moment in enumerate(moments)]
    with feed(lambda asked, before: page(rows)) as service:
        reads = source(tmp_path / "s.toml", service.url, 'watermark = "updated_at"\nsince = "from"')
        first = take(reads)
        assert (len(first.names), first.end.watermark) == (len(moments), watermark)
        assert "from" not in service.asked[0]
        assert take(reads, watermark).end.watermark == watermark
        assert service.asked[1]["from"] == asked


# -- a service that is away for a while ---------------------------------------------------------------------------

TROUBLE = {
    "an error": Answer(b"{}", 500),
    "a body that is cut off": Answer(json.dumps([item(1)]).encode(), cut=5),
    "too many questions": Answer(b"", 429, {"Retry-After": "7"}),
}


@pytest.mark.parametrize("trouble", list(TROUBLE))
def test_a_page_is_asked_for_again_until_it_is_whole(tmp_path, trouble):
    slept: list[float] = []
    with feed(lambda asked, before: TROUBLE[trouble] if before < 3 else page([item(1)])) as service:
        assert take(source(tmp_path / "s.toml", service.url), slept=slept).names == names(1)
    assert slept == ([7.0, 7.0, 7.0] if trouble == "too many questions" else [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"", 500), "it answered 500, 3 times"),
        (Answer(b"[1,2,3]", cut=2), "a page was cut off, 3 times"),
        (Answer(b"", 503, {"Retry-After": "3600"}), "it asks to wait for 3600 s"),
        (Answer(b"not gzip", headers={"Content-Encoding": "gzip"}), "packed wrongly, 3 times"),
    ],
)
def test_a_service_that_stays_away_ends_the_pull_for_now(tmp_path, answer, words):
    with feed(lambda asked, before: answer) as service:
        reads = source(
            tmp_path / "s.toml", service.url, 'attempts = 3\nparameters = { key = "env:K" }', {"K": "geheim"}
        )
        with pytest.raises(Retryable) as said:
            take(reads)
    assert words in str(said.value)
    assert "nothing of this read was sent; run the same command again" in str(said.value)
    assert "geheim" not in str(said.value)


def test_a_host_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Retryable, match=r"127\.0\.0\.1:1/x: no connection could be made, 2 times"):
        take(source(tmp_path / "s.toml", "http://127.0.0.1:1/x", "attempts = 2"))


# -- a service that can not be used -------------------------------------------------------------------------------

LOOPS = 'paging = { kind = "page", parameter = "p" }'
CURSOR = 'paging = { kind = "cursor", parameter = "c", member = "next" }'
LINK = 'paging = { kind = "next_link", member = "next" }'

REFUSED = {
    "the same page again": (LOOPS, lambda asked, n: page([item(1)]), "it sends the same page again"),
    "a cursor that comes round": (
        CURSOR, lambda asked, n: page([item(n)], next="ab"[n % 2]), "leads back to a page that was read"),
    "a link to itself": (LINK, lambda asked, n: page([item(n)], next="/list"), "leads back to a page that was read"),
    "pages without end": (
        LOOPS + "\npages_max = 5", lambda asked, n: page([item(n)]), "more than 5 pages (pages_max)"),
    "another host": ("", lambda asked, n: Answer(b"", 302, {"Location": "http://example.com/x"}), "http://example.com"),
    "another scheme": ("", lambda asked, n: Answer(b"", 301, {"Location": "file:///etc/passwd"}), "another place"),
    "a link away": (LINK, lambda asked, n: page([item(n)], next="//example.com/"), "http://example.com, another place"),
    "redirects in a circle": ("", lambda asked, n: Answer(b"", 307, {"Location": "/list"}), "redirects in a circle"),
    "no JSON": ("", lambda asked, n: Answer(b"<html>sorry</html>"), "a page is not JSON"),
    "half of a JSON": ("", lambda asked, n: Answer(b'{"data": [{'), "a page is not JSON"),
    "values nested too deeply": ("", lambda asked, n: Answer(b"[" * 200_000), "a page is not JSON"),
    "another encoding": ("", lambda asked, n: Answer('["企业"]'.encode("gb18030")), "not encoded as it says"),
    "one value": ("", lambda asked, n: Answer(b"17"), "holds one value and no rows"),
    "two arrays": ("", lambda asked, n: page([item(n)], more=[]), "holds data, more; say as rows"),
    "no such rows": ('rows = "list"', lambda asked, n: page([item(n)]), "a page has no list, there stands data"),
    "no such inner rows": ('rows = "a.b"', lambda asked, n: Answer(b'{"a": {"c": []}}'), "a page has no a.b"),
    "other members": ("", lambda asked, n: page([{"name": "x", "nr": 1}]), "no members that mapping registration-cn"),
    "not allowed": ("", lambda asked, n: Answer(b"", 403), "refuses to answer (403)"),
    "not there": ("", lambda asked, n: Answer(b"", 404), "it answered 404"),
    "a watermark that does not grow": (
        'watermark = "企业名称"', lambda asked, n: page([item(n)]), "neither a date, a moment nor a number"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_is_wrong_with_a_feed_is_said_in_one_sentence(tmp_path, kind):
    body, answer, words = REFUSED[kind]
    with feed(answer) as service, pytest.raises(XinliuError) as said:
        take(source(tmp_path / "s.toml", service.url, body))
    assert isinstance(said.value, InputError)
    assert words in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("packed", [True, False])
def test_a_page_of_100_mib_is_refused_before_it_is_in_memory(tmp_path, packed):
    body = b'{"data": ["' + b"x" * (100 << 20) + b'"]}'
    answer = Answer(gzip.compress(body, 1), headers={"Content-Encoding": "gzip"}) if packed else Answer(body)
    with feed(lambda asked, before: answer) as service, pytest.raises(InputError, match="larger than 8 MiB"):
        take(source(tmp_path / "s.toml", service.url, "page_mb_max = 8"))


def test_a_service_without_tls_is_told_from_one_that_is_away(tmp_path):
    with feed(lambda asked, before: page([])) as service, pytest.raises(InputError, match="no secure connection"):
        take(source(tmp_path / "s.toml", service.url.replace("http:", "https:")))


def test_what_is_no_object_is_a_row_with_a_fault(tmp_path):
    with feed(lambda asked, before: Answer(json.dumps([item(1), "x", None, 7]).encode())) as service:
        read = take(source(tmp_path / "s.toml", service.url))
    faults = read.rows[0].chunk.faults
    assert faults is not None
    assert faults.to_list() == [None, "row_shape", "row_shape", "row_shape"]


def test_an_empty_feed_is_no_error(tmp_path):
    with feed(lambda asked, before: page([])) as service:
        assert take(source(tmp_path / "s.toml", service.url)).names == []
