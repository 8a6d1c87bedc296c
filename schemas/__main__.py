"""`python -m schemas write` renews the published schemas and the lock file; `check` says whether they are stale."""

import sys

from schemas import wire


def main(arguments: list[str]) -> int:
    """Exit 0 when done or fresh, 1 when stale, 2 for a wrong word."""
    match arguments:
        case ["write"]:
            print("\n".join(wire.write()) or "nothing changed")
            return 0
        case ["check"]:
            found = wire.problems()
            print("\n".join(found) or "schemas and lock file are fresh, every version reads its neighbours")
            return 1 if found else 0
        case _:
            print("usage: python -m schemas write | check", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
