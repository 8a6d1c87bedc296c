"""ClickHouse's error codes, as the HTTP protocol carries them."""

import re

SYNTAX_ERROR = 62
NOT_IMPLEMENTED = 48
READONLY = 164
TIMEOUT_EXCEEDED = 159
TOO_MANY_BYTES = 307
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
CANNOT_DECOMPRESS = 271
INVALID_SESSION_TIMEOUT = 374
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

_NAMES = {
    SYNTAX_ERROR: "SYNTAX_ERROR",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    READONLY: "READONLY",
    TOO_MANY_BYTES: "TOO_MANY_BYTES",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
    INVALID_SESSION_TIMEOUT: "INVALID_SESSION_TIMEOUT",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
}

_HTTP_STATUS = {
    AUTHENTICATION_FAILED: 403,
    NOT_IMPLEMENTED: 501,
    TIMEOUT_EXCEEDED: 408,
    TOO_MANY_BYTES: 413,
    # The client's mistake: what can not be parsed ...
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 53, 62, 69, 72, 117, READONLY, CANNOT_DECOMPRESS), 400),
    # ... and what does not exist.
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336, SESSION_NOT_FOUND), 404),
}
"""As ClickHouse's HTTPHandler maps them, for the codes that a client of ours can meet; everything else is 500."""

_CODE = re.compile(r"Code: (\d+)\. ?(?:DB::Exception: )?")


class EngineError(Exception):
    """A query failed: ClickHouse's code and the text that a client gets.

    The text may quote the data of the failed insert: it goes to that client and nowhere else, no log included.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def ours(cls, code: int, message: str) -> "EngineError":
        """An error that this server finds itself, worded as ClickHouse words its own."""
        return cls(code, f"Code: {code}. DB::Exception: {message} ({_NAMES[code]})")

    @classmethod
    def from_chdb(cls, error: Exception) -> "EngineError":
        """chDB's exceptions carry the engine's text, with prefixes of chDB's own before it."""
        text = str(error)
        found = _CODE.search(text)
        return cls(int(found.group(1)), text[found.start() :]) if found else cls.ours(UNKNOWN_EXCEPTION, text)

    @property
    def http_status(self) -> int:
        return _HTTP_STATUS.get(self.code, 500)
