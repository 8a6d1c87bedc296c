"""Chinese words for outcomes and reasons, beside the English ones that `schemas.reasons` declares.

What has no Chinese words yet is said in English alone; a test asks for every one.
"""

from schemas.reasons import OUTCOME_SENTENCES, REASONS, Outcome

OUTCOMES_ZH: dict[Outcome, str] = {
    "new": "新增记录",
    "repeat": "与已有记录相同，未作改动",
    "superseding": "比已有记录新，已取代",
    "stale": "比已有记录旧，或记录已终止，仅存入历史",
    "conflicting": "与作出决定的机关的记录不一致，存入历史，待该机关认定",
    "quarantined": "暂不能入库，已连同原因搁置，待修正后重新提交",
    "refused": "超出本平台可收录的范围，未保留任何内容",
}

REASONS_ZH: dict[str, str] = {
    "person_row": "该行涉及自然人",
    "personal_number": "某字段含有个人号码（{detail}）",
    "subject_is_person": "主体以个人号码标识（{detail}）",
    "subject_out_of_scope": "主体类型超出平台范围（{detail}）",
    "value_unreadable": "字段 {detail} 的值不符合映射声明的格式，无法读取",
    "value_missing": "必填字段 {detail} 为空",
    "value_too_long": "字段 {detail} 的值超出记录允许的长度",
    "code_unknown": "字段 {detail} 的值不在映射的代码表中",
    "row_shape": "该行的单元格数与表头不一致",
    "dates_disagree": "日期相互矛盾（{detail}）",
    "amounts_disagree": "金额相互矛盾（{detail}）",
    "date_implausible": "日期 {detail} 不可能正确：早于 1949 年、晚于报送日或远在将来",
    "text_damaged": "该行的文字在送达之前已受损（{detail}）",
    "several_subjects": "{detail} 写有多个组织",
    "document_number_invalid": "{detail} 中的内容不是一份文书的文号",
    "subject_unresolved": "该行没有可以确认组织身份的标识",
    "subject_placeholder": "标识是占位符，不是组织的代码",
    "subject_code_invalid": "组织代码未通过校验（{detail}）",
    "subject_is_authority": "该行的标识是作出决定的机关的代码，不是主体的代码",
    "subject_codes_disagree": "同一行的两个标识属于不同的组织",
    "category_unknown": "类别不在目录中",
    "operation_unknown": "操作类型未知",
    "identity_incomplete": "缺少确定记录身份所需的部分（{detail}）",
    "event_undecodable": "消息不是约定格式的事件",
    "event_empty": "消息没有内容",
    "event_too_large": "事件超出允许的大小",
}


def outcome_words(outcome: str) -> tuple[str, str]:
    """What an outcome means, Chinese and English."""
    english = {str(name): sentence for name, sentence in OUTCOME_SENTENCES.items()}.get(outcome, outcome)
    return {str(name): words for name, words in OUTCOMES_ZH.items()}.get(outcome, ""), english


def reason_words(reason: str, detail: str) -> tuple[str, str]:
    """What a reason says, Chinese and English, with what to do next in English. Never a value of a row."""
    chinese = REASONS_ZH.get(reason, "").format(detail=detail or "未注明")
    return chinese, REASONS[reason].message(detail) if reason in REASONS else reason


STEPS: dict[str, tuple[str, str]] = {
    "row": ("来源行", "file row"),
    "mapping": ("映射", "mapping"),
    "event": ("事件", "event"),
    "guard": ("守护", "guard"),
    "examine": ("检查", "examine"),
    "normalise": ("规范", "normalise"),
    "identify": ("识别", "identify"),
    "authorise": ("权限", "authorise"),
    "fold": ("归并", "fold"),
    "record": ("记录", "record"),
    "store": ("存储", "store"),
}
"""The steps of the flow in their order, Chinese and English."""

PARTS_ZH: dict[str, str] = {
    "subject": "主体",
    "authority": "机关",
    "document_number": "文号",
    "item": "事项",
    "decided_on": "决定日期",
}

RANKS: dict[int, tuple[str, str]] = {
    3: ("该部门代表作出决定的机关", "the department speaks for the deciding authority"),
    2: ("该部门是作出决定的机关的上级", "the department is the declared superior of the deciding authority"),
    1: (
        "该部门不代表作出决定的机关，只能补充或提出不一致",
        "the department does not speak for the deciding authority: it corroborates, or disagrees",
    ),
}

STATUSES: dict[str, tuple[str, str]] = {
    "valid": ("有效", "valid"),
    "annulled": ("已撤销", "annulled"),
    "withdrawn": ("已撤回", "withdrawn"),
    "repaired": ("已修复", "repaired"),
    "expired": ("公示期满", "expired: its publication ended"),
}
