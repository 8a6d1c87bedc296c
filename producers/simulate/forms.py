"""Acts as rows of the departments' forms: which column holds what, spelled by chance as real files spell it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from random import Random

from producers.simulate import dirt
from producers.simulate.acts import Act

Row = dict[str, str]
_LONG_TERM = date(2099, 12, 31)


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a department.

    Attributes:
        row: makes a row of an act.
        name, code, number, day: headers of the subject's name, its code, the document's number and the decision's
            date ("" = the form has none).
        party, person_words: header of the kind of party and what it says of a person; "" where there is none.
        papers: header of a person's papers, "" where there is none.
        myriads: header of an amount in 万元 that the content of the decision names as well, "" where there is none.
    """

    mapping: str
    row: Callable[[Act, Random], Row]
    name: str
    code: str
    number: str = ""
    party: str = ""
    person_words: str = "自然人"
    papers: str = ""
    day: str = ""
    myriads: str = ""


def _party(act: Act) -> str:
    return "个体工商户" if act.body.prefix == "92" else "法人及非法人组织"


def _older_number(act: Act, chance: Random) -> str:
    """The number of the business register, which few still fill in beside the code."""
    return act.body.registration_number if chance.random() < 0.3 else ""


def _penalty(act: Act, chance: Random) -> Row:
    fine = f"处以{'、'.join(act.classes)}" + (f"，罚款{act.yuan}元" if act.yuan else "")
    return {
        "行政相对人名称": dirt.name(act.body.name, chance),
        "行政相对人类别": _party(act),
        "行政相对人代码_1（统一社会信用代码）": dirt.code(act.body.code, chance),
        "行政相对人代码_2（工商注册号）": _older_number(act, chance),
        "法定代表人": "",
        "证件号码": "",
        "行政处罚决定书文号": dirt.document_number(act.number, chance),
        "处罚类别": chance.choice("；;、").join(act.classes),
        "处罚依据": "；".join(act.bases),
        "处罚内容": fine,
        "罚款金额（万元）": dirt.myriads(act.yuan, chance) if act.yuan else "",
        "没收违法所得、没收非法财物的金额（万元）": dirt.myriads(act.confiscated_yuan, chance)
        if act.confiscated_yuan
        else "",
        "处罚决定日期": dirt.day(act.decided_on, chance),
        "处罚机关": act.authority.name,
        "处罚机关统一社会信用代码": act.authority.code,
        "地方编码": act.authority.region,
        "当前状态": act.state,
        "撤销文书号": act.change_number,
        "撤销日期": dirt.day(act.changed_on, chance) if act.changed_on else "",
        "备注": "",
    }


_PENALTY_CODES = {
    "行政相对人名称": "CF_XDR_MC",
    "行政相对人类别": "CF_XDR_LB",
    "行政相对人代码_1（统一社会信用代码）": "CF_XDR_SHXYM",
    "行政相对人代码_2（工商注册号）": "CF_XDR_GSZC",
    "法定代表人": "CF_FRDB",
    "证件号码": "CF_XDR_ZJHM",
    "行政处罚决定书文号": "CF_WSH",
    "处罚类别": "CF_CFLB",
    "处罚依据": "CF_YJ",
    "处罚内容": "CF_NR",
    "罚款金额（万元）": "CF_NR_FK",
    "没收违法所得、没收非法财物的金额（万元）": "CF_NR_WFFF",
    "处罚决定日期": "CF_JDRQ",
    "处罚机关": "CF_CFJG",
    "处罚机关统一社会信用代码": "CF_CFJGDM",
    "地方编码": "DFBM",
    "当前状态": "CF_ZT",
    "备注": "BZ",
}


def _penalty_by_codes(act: Act, chance: Random) -> Row:
    row = _penalty(act, chance)
    return {code: row[header] for header, code in _PENALTY_CODES.items()}


def _penalty_copied(act: Act, chance: Random) -> Row:
    """As an aggregator writes down what others decided: no code of the authority, and an older name of it."""
    row = _penalty(act, chance)
    row["处罚机关"] = chance.choice((act.authority.name, *act.authority.aliases))
    row["处罚机关统一社会信用代码"] = ""
    return row


def _licence(act: Act, chance: Random) -> Row:
    return {
        "行政相对人名称": dirt.name(act.body.name, chance),
        "行政相对人类别": _party(act),
        "行政相对人代码_1 (统一社会信用代码)": dirt.code(act.body.code, chance),
        "行政相对人代码_2 (工商注册号)": _older_number(act, chance),
        "法定代表人": "",
        "证件号码": "",
        "行政许可决定文书号": dirt.document_number(act.number, chance),
        "许可类别": act.classes[0],
        "许可证书名称": act.item,
        "许可决定日期": dirt.day(act.decided_on, chance),
        "有效期自": dirt.day(act.decided_on, chance),
        "有效期至": dirt.day(act.valid_to, chance)
        if act.valid_to
        else chance.choice(("长期", f"{_LONG_TERM:%Y/%m/%d}")),
        "许可机关": act.authority.name,
        "许可机关统一社会信用代码": act.authority.code,
        "地方编码": act.authority.region,
        "当前状态": act.state,
        "备注": "",
    }


def _debt(act: Act, chance: Random) -> Row:
    return {
        "被执行人名称": dirt.name(act.body.name, chance),
        "被执行人类型": "单位",
        "统一社会信用代码": dirt.code(act.body.code, chance),
        "身份证号码": "",
        "执行法院": act.authority.name,
        "案号": act.number if chance.random() < 0.7 else act.number.replace("（", "(").replace("）", ")"),
        "立案时间": dirt.day(act.decided_on, chance),
        "执行标的（元）": chance.choice((f"{act.yuan}", f"{act.yuan:,}.00", f"￥{act.yuan}")),
        "被执行人的履行情况": act.state,
    }


def _rating(act: Act, chance: Random) -> Row:
    return {
        "纳税人名称": dirt.name(act.body.name, chance),
        "统一社会信用代码": dirt.code(act.body.code, chance),
        "评价年度": f"{act.decided_on.year}",
        "纳税信用等级": act.item + chance.choice(("", "级")),
        "评价机关": act.authority.name,
    }


def _ban(act: Act, chance: Random) -> Row:
    return {
        "供应商名称": dirt.name(act.body.name, chance),
        "统一社会信用代码": dirt.code(act.body.code, chance),
        "法定代表人": "",
        "处罚决定书文号": dirt.document_number(act.number, chance),
        "处罚依据": "；".join(act.bases),
        "处罚日期": dirt.day(act.decided_on, chance),
        "处罚截止日期": dirt.day(act.valid_to, chance) if act.valid_to else "",
        "执法单位": act.authority.name,
        "状态": act.state,
    }


def _honour(act: Act, chance: Random) -> Row:
    return {
        "单位名称": dirt.name(act.body.name, chance),
        "统一社会信用代码": dirt.code(act.body.code, chance),
        "荣誉名称": act.item,
        "授予单位": act.authority.name,
        "文号": dirt.document_number(act.number, chance),
        "授予日期": dirt.day(act.decided_on, chance),
        "状态": act.state,
    }


def _registration(act: Act, chance: Random) -> Row:
    kind = "个体工商户" if act.body.prefix == "92" else "有限责任公司"
    return {
        "企业名称": dirt.name(act.body.name, chance),
        "统一社会信用代码": dirt.code(act.body.code, chance),
        "注册日期": dirt.day(act.decided_on, chance),
        "企业类型": kind,
        "注册资金": chance.choice((f"{act.yuan // 10_000}万人民币", f"{act.yuan // 10_000}万元", "")),
        "所在省份": "演示省",
        "地区": act.body.code[2:8],
    }


PENALTY = Form(
    "penalty-2018",
    _penalty,
    name="行政相对人名称",
    code="行政相对人代码_1（统一社会信用代码）",
    number="行政处罚决定书文号",
    party="行政相对人类别",
    papers="证件号码",
    day="处罚决定日期",
    myriads="罚款金额（万元）",
)
PENALTY_COPIED = replace(PENALTY, row=_penalty_copied)
PENALTY_BY_CODES = Form(
    "penalty-2018",
    _penalty_by_codes,
    name="CF_XDR_MC",
    code="CF_XDR_SHXYM",
    number="CF_WSH",
    party="CF_XDR_LB",
    papers="CF_XDR_ZJHM",
    day="CF_JDRQ",
    myriads="CF_NR_FK",
)
LICENCE = Form(
    "licence-2018",
    _licence,
    name="行政相对人名称",
    code="行政相对人代码_1 (统一社会信用代码)",
    number="行政许可决定文书号",
    party="行政相对人类别",
    papers="证件号码",
    day="许可决定日期",
)
DEBT = Form(
    "court-debtor",
    _debt,
    name="被执行人名称",
    code="统一社会信用代码",
    number="案号",
    party="被执行人类型",
    papers="身份证号码",
    day="立案时间",
)
RATING = Form("tax-rating", _rating, name="纳税人名称", code="统一社会信用代码")
BAN = Form("procurement-ban", _ban, name="供应商名称", code="统一社会信用代码", number="处罚决定书文号", day="处罚日期")
HONOUR = Form("honour", _honour, name="单位名称", code="统一社会信用代码", number="文号", day="授予日期")
REGISTRATION = Form("registration-cn", _registration, name="企业名称", code="统一社会信用代码", day="注册日期")
