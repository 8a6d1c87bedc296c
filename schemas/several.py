"""Two subjects in one cell: a decision against several must come as one row for each.

Which of them a single code in the row belongs to, nobody knows; recorded under one, the other would be without its
record. So the row is set aside; and it is refused where the one beside the organisation is a person.

Non-goal: telling apart names that are joined without a sign between them.
"""

import re
from collections.abc import Callable

import polars as pl

from schemas.schemes import SubjectTables, read_identifier
from schemas.subjects import keeps_name

_SIGNS = "、;；，,/／|\r\n"
_OUTSIDE_BRACKETS = re.compile(rf"[{_SIGNS}]+(?![^（(]*[）)])")
_REMARK = r"(?:[（(][^（）()]{1,20}[）)])?"
_ORGANISATION = re.compile(
    r".{2,}(?:公司|集团|企业|合作社|联社|中心|基金会|协会|学会|商会|委员会|研究院|设计院|医院|学院|学校|幼儿园|宾馆|酒店|饭店"
    rf"|银行|支行|分行|事务所|经营部|门市部|服务部|批发部|加工厂|超市|商场|商行|[厂矿行店站所社部院局]){_REMARK}"
)
_SEVERAL_NAMED = re.compile(r"等[0-9一二三四五六七八九十两]+(?:家|户|个)")
_PERSON = re.compile(r"[\u4e00-\u9fff·]{2,4}")
_NAME_LONGEST = 3  # of most people; the first part of an organisation's own name is longer
_OTHER_NAME = re.compile("第[一二]名称|曾用名|原名")  # two names of one body

# What a cell must hold to be looked at: few do.
_SUSPECT_NAME = rf"[{_SIGNS}]|等[0-9一二三四五六七八九十两]"
_ONE_CODE_BYTES = len("CN-USCC:") + 18
_SUSPECT_ID = rf"[0-9A-Za-z-]{{8,}}\s*[{_SIGNS}\s]\s*[0-9A-Za-z-]{{8,}}"


def people_beside(names: pl.Series) -> pl.Series:
    """ "subject_name" where the cell names a person beside an organisation (某某公司、张三), else null."""
    return _judge(names, _suspects(names), _holds_person)


def several_named(names: pl.Series) -> tuple[pl.Series, pl.Series]:
    """`people_beside`, and likewise where the cell names more than one organisation; one look at the names for both."""
    suspects = _suspects(names)
    return _judge(names, suspects, _holds_person), _judge(names, suspects, _names_several)


def several_identified(ids: pl.Series, tables: SubjectTables) -> pl.Series:
    """ "subject_ids" where one of the identifiers holds codes of different organisations, else null.

    Args:
        ids: List(String), SCHEME:NUMBER as they came.
    """
    nothing = pl.Series("several", [None], pl.String).new_from_index(0, len(ids))
    flat = ids.list.explode(empty_as_null=False).fill_null("")
    long = (flat.str.len_bytes() > _ONE_CODE_BYTES).arg_true()
    suspects = long.gather(flat.gather(long).str.contains(_SUSPECT_ID).arg_true())
    bad = [at for at in suspects.to_list() if _codes_of_several(flat[at], tables)]
    if not bad:
        return nothing
    ends = ids.list.len().fill_null(0).cum_sum()
    rows = ends.search_sorted(pl.Series(bad), side="right")
    return nothing.scatter(rows, "subject_ids")


def _suspects(names: pl.Series) -> pl.Series:
    return names.str.contains(_SUSPECT_NAME).fill_null(False).arg_true()


def _judge(names: pl.Series, suspects: pl.Series, holds: Callable[[str], bool]) -> pl.Series:
    """The word for the field where a suspect name holds what is looked for."""
    nothing = pl.Series("several", [None], pl.String).new_from_index(0, len(names))
    found = [at for at in suspects.to_list() if holds(names[at])]
    return nothing.scatter(found, "subject_name") if found else nothing


def _parts(name: str) -> list[str]:
    return [part for part in (part.strip() for part in _OUTSIDE_BRACKETS.split(name)) if part]


def _names_several(name: str) -> bool:
    if _OTHER_NAME.search(name):
        return False
    return _SEVERAL_NAMED.search(name) is not None or sum(map(_is_organisation, _parts(name))) > 1


def _holds_person(name: str) -> bool:
    """Behind an organisation whatever is as short as a name; before one (建筑、装饰公司) only what stands alone."""
    first, *others = _parts(name) or [""]
    if not any(map(_is_organisation, (first, *others))):
        return False
    people = [part for part in others if not _is_organisation(part)] if _is_organisation(first) else []
    people += [first] if len(first) <= _NAME_LONGEST else []
    return any(_PERSON.fullmatch(part) is not None and not keeps_name(part, "sole_trader") for part in people)


def _is_organisation(part: str) -> bool:
    return _ORGANISATION.fullmatch(part) is not None


def _codes_of_several(identifier: str, tables: SubjectTables) -> bool:
    """Whether one identifier holds good codes of different organisations."""
    scheme, colon, number = identifier.partition(":")
    numbers = [part for part in re.split(rf"[{_SIGNS}\s]+", number if colon else identifier) if part]
    found = [read_identifier(f"{scheme}:{part}" if colon else part, tables) for part in numbers]
    good = {finding.key for finding in found if finding.state == "good"}
    return len(good) > 1
