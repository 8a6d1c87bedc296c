"""What a database says when it can not answer, as one sentence each; never a password, never a value of a row.

A server's message may quote a row ("invalid input syntax for type integer: ..."), so only what is known to quote the
statement alone is passed on.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy.exc import DBAPIError, NoSuchModuleError, OperationalError, ProgrammingError, SQLAlchemyError

from producers.sources.source_file import TableSource
from schemas.errors import InputError, Retryable, XinliuError

_AGAIN = "nothing of this read was sent; run the same command again"
_REACHING = (
    "Connection refused", "timeout expired", "No route to host", "Network is unreachable", "Connection timed out",
    "server closed the connection unexpectedly", "could not translate host name", "Name or service not known",
    "Temporary failure in name resolution", "failed to resolve host", "Connection reset by peer",
    "the database system is starting up", "the database system is shutting down", "too many clients",
)  # fmt: skip


def cannot_connect(error: Exception, source: TableSource) -> XinliuError:
    """The sentence for a connection that was not made."""
    doing = f"connecting to the database at {source.place}"
    if isinstance(error, NoSuchModuleError | ImportError):
        missing = error.name if isinstance(error, ImportError) and error.name else source.url.drivername
        return InputError(f"{doing}: its driver {missing} is not installed; install that Python package")
    said = str(getattr(error, "orig", error))
    if re.search(r"password authentication failed|no password supplied|role .* does not exist|Access denied", said):
        return InputError(f"{doing}: the user or the password is refused; correct the address")
    if re.search(r"database .* does not exist|Unknown database", said):
        return InputError(f"{doing}: the server has no such database; correct the address")
    if re.search(r"pg_hba\.conf", said):
        return InputError(f"{doing}: the server lets nobody in from here; ask its administrator")
    if re.search(r"\bSSL\b|certificate|\bTLS\b", said):
        return InputError(f"{doing}: no secure connection could be made (TLS); check sslmode and the certificates")
    reason = next((words for words in _REACHING if words in said), "no answer")
    return Retryable(f"{doing}: {reason.lower()}; see that it runs and is reached from here, {_AGAIN}")


def cannot_read(error: SQLAlchemyError, source: TableSource, rows: int) -> XinliuError:
    """The sentence for a statement that failed, after so many rows were read."""
    doing = f"reading {source.what} at {source.place}"
    after = f" after {rows:,} rows" if rows else ""
    state = _sqlstate(error)
    said = str(getattr(error, "orig", error))
    if state == "42501" or re.search(r"permission denied|command denied", said):
        return InputError(f"{doing}: the user has no right to read it; have it granted (SELECT)")
    if state == "42P01" or re.search(r"no such table|doesn't exist", said):
        gone = "it is gone, perhaps dropped during the read" if rows else "there is no such table"
        return InputError(f"{doing}: {gone}{after}; {_AGAIN} once it is there")
    if state[:2] == "42" or re.search(r"syntax error|no such column|no such function", said):
        return InputError(f"{doing}: the database refuses the statement ({_primary(error)}); correct the source file")
    if state[:2] == "22":
        return InputError(f"{doing}: the database could not work out a row{after} (SQLSTATE {state}); mend the query")
    if "malformed" in said or "not a database" in said or "Could not decode" in said:
        return InputError(f"{doing}: the database is damaged or its text is not UTF-8{after}; nothing was sent")
    if "locked" in said or state in ("55P03", "57014", "40001", "40P01", "72000"):
        return Retryable(f"{doing}: the database is locked, busy or took too long{after}; {_AGAIN}")
    if isinstance(error, ProgrammingError):
        return InputError(f"{doing}: the database refuses the statement; correct the source file")
    if isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return Retryable(f"{doing}: the connection was lost{after}; {_AGAIN}")
    return Retryable(f"{doing}: the database failed{after} (SQLSTATE {state or 'not said'}); {_AGAIN}")


def missing_table(source: TableSource, known: Iterable[str]) -> InputError:
    """The sentence for a table that is not there, with the nearest names."""
    return InputError(
        f"reading {source.what} at {source.place}: there is no such table or view{nearest(source.table, known)}; "
        "correct the source file"
    )


def missing_column(source: TableSource, key: str, column: str, known: Iterable[str]) -> InputError:
    """The sentence for a column that the source file names and the table has not."""
    return InputError(
        f"reading {source.what} at {source.place}: {key} names the column {column}, which is not there"
        f"{nearest(column, known)}; correct the source file"
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at what was perhaps meant."""
    names = list(dict.fromkeys(known))
    folded = {candidate.casefold(): candidate for candidate in names}
    near = [
        folded[hit] for hit in difflib.get_close_matches(name.rpartition(".")[2].casefold(), folded, n=3, cutoff=0.5)
    ]
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _sqlstate(error: SQLAlchemyError) -> str:
    origin: Any = getattr(error, "orig", None)
    return getattr(origin, "sqlstate", None) or ""


def _primary(error: SQLAlchemyError) -> str:
    """The server's own words about the statement: of class 42 they quote names and tokens, and no row."""
    origin: Any = getattr(error, "orig", None)
    primary = getattr(getattr(origin, "diag", None), "message_primary", None)
    if primary is None and re.match(r"near \"|no such (?:column|function)", str(origin)):
        primary = str(origin)
    # What stands in quotation marks may be a literal of the query.
    return re.sub(r"\d{6,}", "…", primary or "no reason given")
