"""A value as a driver gives it, as the text of a cell; exact, or None where a value has no plain text."""

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def text_of(value: Any) -> str | None:
    """One value as text.

    A decimal keeps its digits and is never written with an exponent; bytes are hexadecimal; the values of an array are
    joined by a semicolon; an object is JSON.
    """
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | UUID():
            return str(value)
        case Decimal():
            return format(value, "f")
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case list() | tuple():
            texts = [text_of(item) for item in value]
            return None if None in texts else ";".join(text for text in texts if text)
        case dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return None
