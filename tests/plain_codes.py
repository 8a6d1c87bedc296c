"""What organisation a number is of, by the three Chinese standards spelled out without any cleverness.

To compare what the adapters record with, so it shares nothing with them. An issued code with a wrong check character
(the override list) is no number here.
"""

import unicodedata

from reference_uscc import plain_fault

_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WEIGHTS_36 = (3, 7, 9, 10, 5, 8, 4, 2)


def organisation_of(cell: str) -> str:
    """`org:` and organisation code, or `reg:` and registration number; "" for what is neither."""
    code = "".join(c for c in unicodedata.normalize("NFKC", cell).upper() if c.isalnum() or c in "?^/!;")
    if not code.isascii():
        return ""
    if plain_fault(code) is None:
        return f"org:{code[8:17]}"
    if len(code) == 9 and _is_organisation_code(code):
        return f"org:{code}"
    if len(code) == 15 and code[:6].isdigit() and _is_organisation_code(code[6:]) and not _is_registration(code):
        return f"org:{code[6:]}"  # the old tax number: region and organisation code
    if _is_registration(code):
        return f"reg:{code}"
    return ""


def _is_organisation_code(code: str) -> bool:
    if any(character not in _36 for character in code):
        return False
    total = 0
    for position in range(8):
        total += _36.index(code[position]) * _WEIGHTS_36[position]
    check = 11 - total % 11
    return code[8] == ("X" if check == 10 else "0" if check == 11 else str(check))


def _is_registration(code: str) -> bool:
    """15 digits with the check of ISO 7064 MOD 11,10; of 13 digits only the province can be checked."""
    if not code.isdigit():
        return False
    if len(code) == 13:
        return 11 <= int(code[:2]) <= 65
    if len(code) != 15:
        return False
    product = 10
    for character in code[:14]:
        product = (product + int(character)) % 10
        if product == 0:
            product = 10
        product = product * 2 % 11
    return (11 - product) % 10 == int(code[14])
