"""Reads as much of a ClickHouse statement as the HTTP protocol needs, and refuses what a server would not do.

No parser of SQL: quotes and comments are stepped over, and the few words that steer the protocol are found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.local.clickhouse.errors import NOT_IMPLEMENTED, SYNTAX_ERROR, EngineError

_TOKEN = re.compile(
    rb"""(?P<blank>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
       | (?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
       | (?P<word>[A-Za-z_]\w*)
       | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BEFORE_DATA = re.compile(rb"[ \t\f]*(?:\r?\n)?")
_READS = frozenset({b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK", b""})


@dataclass(frozen=True)
class Statement:
    """What a request asks for.

    `text` goes to the engine. `insert_format` is set where rows follow in the request's body: then `text` ends before
    its FORMAT clause, and `data` holds what of the rows was already read. `output_format` is the one that the
    statement names itself.
    """

    text: bytes
    verb: bytes
    insert_format: str | None = None
    data: bytes = b""
    output_format: str | None = None

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing, by its first word; an unknown word counts as a change."""
        return self.verb in _READS

    @property
    def returns_rows(self) -> bool:
        """Whether it is a query whose answer may be streamed."""
        return self.verb in (b"SELECT", b"WITH", b"FROM", b"")


def parse(text: bytes) -> Statement:
    """The statement in `text`, which holds all of it, and the beginning of its rows for an INSERT ... FORMAT.

    Raises EngineError for several statements at once, and for files of the server.
    """
    verb = _verb(text)
    if verb == b"INSERT":
        return insert_with_rows(text) or Statement(text, verb)
    return Statement(text, verb, output_format=_check_and_find_format(text))


def insert_with_rows(head: bytes) -> Statement | None:
    """The INSERT whose rows follow in a format, from the beginning of a body; None where `head` does not show one.

    None, too, for VALUES and SELECT, which the engine parses itself.
    """
    words = _words(head)
    if next(words, (b"", 0))[0] != b"INSERT":
        return None
    for word, start in words:
        if word in (b"VALUES", b"SELECT", b"WITH"):
            return None
        if word == b"INFILE":
            raise EngineError.ours(NOT_IMPLEMENTED, "FROM INFILE names a file of the server; send the rows instead.")
        if word == b"FORMAT":
            name = next(words, None)
            if name is None:
                return None
            end = name[1] + len(name[0])
            if name[0] == b"VALUES":
                return None
            rows_start = _BEFORE_DATA.match(head, end)
            assert rows_start is not None  # it matches nothing at all, too
            format_name = head[name[1] : end].decode("ascii")
            return Statement(head[:start], b"INSERT", format_name, head[rows_start.end() :])
    return None


def _verb(text: bytes) -> bytes:
    """The first word, in upper case; empty for a statement that begins with a parenthesis, as only a query can."""
    first = next((token for token in _TOKEN.finditer(text) if token.lastgroup != "blank"), None)
    return first.group().upper() if first is not None and first.lastgroup == "word" else b""


def _words(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Unquoted words outside parentheses, in upper case, and where each begins."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "word" and depth == 0:
            yield token.group().upper(), token.start()
        elif token.lastgroup == "other":
            depth += {b"(": 1, b")": -1}.get(token.group(), 0)


def _check_and_find_format(text: bytes) -> str | None:
    """The format that a query names at its end, None where it names none."""
    tail: list[bytes] = []  # what follows the last FORMAT
    named: str | None = None
    depth = 0
    ended = False
    previous = b""
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "blank":
            continue
        if ended and token.group() != b";":
            raise EngineError.ours(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed).")
        if token.group() == b";":
            ended = True
            continue
        depth += {b"(": 1, b")": -1}.get(token.group(), 0) if token.lastgroup == "other" else 0
        word = token.group().upper() if token.lastgroup == "word" and depth == 0 else b""
        if previous == b"INTO" and word == b"OUTFILE":
            raise EngineError.ours(NOT_IMPLEMENTED, "INTO OUTFILE is not allowed: it names a file of the server.")
        if previous == b"FORMAT" and word:
            named = token.group().decode("ascii")
            tail.clear()
        else:
            tail.append(word)
        previous = word
    return named if named is not None and (not tail or tail[0] == b"SETTINGS") else None
