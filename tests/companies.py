"""Made-up companies for tests: their codes, and a mapping of one's own for files of 名称, 代码, 类型, 日期."""

from pathlib import Path

from schemas.uscc import org_code_check, uscc_check_digit

_MAPPING = """
version = {version}
title_zh = "企业"
title_en = "Companies"
source = "made up"
category = "registration"
subject_ids = [{{ scheme = "CN-ANY", column = "code" }}]
[columns.code]
headers = ["代码"]
[fields.subject_name]
headers = ["名称"]
[fields.subject_kind]
headers = ["类型"]
codes = {{ legal_person = [{kinds}] }}
[fields.decided_on]
headers = ["日期"]
"""


def company_code(number: int, letters: str = "XX") -> str:
    """A code with right check digits; tests that share a stack take different letters."""
    body = f"{letters}{number:06d}"
    first = f"91370102{body}{org_code_check(body)}"
    return first + uscc_check_digit(first)


def write_companies_mapping(path: Path, version: int, *kinds: str) -> None:
    """The mapping, which knows these kinds of company and no others."""
    path.write_text(_MAPPING.format(version=version, kinds=", ".join(f'"{kind}"' for kind in kinds)), "utf-8")
