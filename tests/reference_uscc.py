"""GB 32100 and GB 11714 once more, spelled out without any cleverness, to compare the real thing with."""

_31 = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS_31 = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WEIGHTS_36 = (3, 7, 9, 10, 5, 8, 4, 2)


def plain_fault(code: str) -> str | None:
    """Fault of a compacted code, None for a good one; the override list does not count."""
    if len(code) != 18:
        return "length"
    for character in code:
        if character not in _31:
            return "alphabet"
    for character in code[2:8]:
        if character not in "0123456789":
            return "region_format"
    total = 0
    for position in range(8):
        total += _36.index(code[8 + position]) * _WEIGHTS_36[position]
    check = 11 - total % 11
    wanted = "X" if check == 10 else "0" if check == 11 else str(check)
    if code[16] != wanted:
        return "body_check"
    total = 0
    for position in range(17):
        total += _31.index(code[position]) * _WEIGHTS_31[position]
    check = 31 - total % 31
    if check == 31:
        check = 0
    return None if code[17] == _31[check] else "check_digit"
