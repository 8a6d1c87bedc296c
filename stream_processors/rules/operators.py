"""Whom a measure can be about, under each jurisdiction's law: its economic operators that are legal persons. The line.

An identifier has to say so. A unified social credit code does (GB 32100-2015): 91 a company, 93 a farmers' cooperative,
N a rural collective. A Mexican RFC says that a body is a legal person and not whether it trades; so it counts under
Mexico's own law and no other, whose one pack is about bodies that issue invoices. A jurisdiction that is not here can
have no rules. Non-goal: whether this body is one, see `stream_processors.cases.facts`.
"""

from collections.abc import Mapping

OPERATORS: Mapping[str, str] = {"CN": "CN-USCC:(?:91|93|N)", "MX": "MX-RFC:"}  # how an identifier begins, a pattern
ANY_OPERATOR = "^(?:" + "|".join(OPERATORS.values()) + ")"
