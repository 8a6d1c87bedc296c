"""Authorities on record that the table of authorities does not know, so that an operator can add them or an alias.

An unknown authority keeps the name that it was reported with; while it is unknown, two spellings of it are two
authorities, and nobody is its declared superior. Non-goal: guessing which body is meant.
"""

import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from schemas import reference
from schemas.reference import Reference
from schemas.settings import Settings
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.console import console

_MOST = 200
_LIKE = 0.6  # share of a name that must agree before a known one is shown beside it

_UNKNOWN = """
SELECT authority_name AS name, authority_code AS code, arraySort(groupUniqArray(department)) AS departments,
       count() AS records, max(recorded_at) AS newest
FROM current_records
WHERE authority_code NOT IN {known:Array(String)} AND (authority_name != '' OR authority_code != '')
GROUP BY name, code
ORDER BY records DESC, name, code
LIMIT {most:UInt32}
"""


@dataclass(frozen=True, slots=True)
class UnknownAuthority:
    """One authority that the table does not hold.

    Attributes:
        name: as reported, in its normal spelling.
        code: as reported, empty where none came.
        departments: who reported it.
        records: current records that name it.
        newest: when the newest of them was recorded.
        resembles: the name in the table that is most like it, empty where none is.
    """

    name: str
    code: str
    departments: tuple[str, ...]
    records: int
    newest: datetime
    resembles: str


def unknown_authorities(store: ClickHouse, tables: Reference, most: int = _MOST) -> list[UnknownAuthority]:
    """Those that most records name first. Raises Retryable while the store does not answer."""
    known = list(tables.authorities.by_code)
    rows = store.rows(
        _UNKNOWN, doing="listing authorities that the table does not know", parameters={"known": known, "most": most}
    )
    names = [name for authority in tables.authorities.by_code.values() for name in (authority.name, *authority.aliases)]
    return [_unknown(row, names) for row in rows]


def _unknown(row: dict[str, Any], names: Sequence[str]) -> UnknownAuthority:
    near = difflib.get_close_matches(row["name"], names, n=1, cutoff=_LIKE)
    return UnknownAuthority(
        row["name"], row["code"], tuple(row["departments"]), row["records"], row["newest"], near[0] if near else ""
    )


def show(settings: Settings, *, as_json: bool) -> int:
    """Print them; returns 0."""
    store = connect(settings)
    try:
        found = unknown_authorities(store, reference.load(settings.reference_dir))
    finally:
        store.close()
    if as_json:
        rows = [asdict(each) | {"newest": each.newest.isoformat()} for each in found]
        print(json.dumps({"authorities": rows}, ensure_ascii=False, indent=1))
    elif found:
        table = Table("authority 机关", "code", "departments", "records", "newest", "resembles")
        for each in found:
            newest = f"{each.newest:%Y-%m-%d}"
            cells = (each.name, each.code, ", ".join(each.departments), f"{each.records:,}", newest, each.resembles)
            table.add_row(*map(Text, cells))  # as reported: a name in square brackets is no markup
        console().print(table)
        print("add them, or their spelling as an alias, to authorities.csv in the folder XINLIU_REFERENCE names")
    else:
        print("every authority on record is in the table")
    return 0
