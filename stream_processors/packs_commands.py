"""`xinliu packs`: the law as it is configured, and what would change under another. Nothing here writes."""

from __future__ import annotations

import json
import os
from typing import Annotated

from cyclopts import App, Parameter

from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

app = App(
    name="packs",
    help="The law as dated packs: windows of publication, measures and incentives. Begin with: xinliu packs list.",
)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of a table.")]


@app.command(name="list")
def list_packs(*, as_json: AsJson = False) -> int:
    """List the packs with their days, windows and rules. Next: xinliu packs show NAME."""
    from stream_processors.console import console
    from stream_processors.rules import show
    from stream_processors.rules.laws import packs_of

    packs = packs_of(Settings.from_env(os.environ))
    if as_json:
        print(json.dumps({"packs": [show.summary(pack) for pack in packs]}, ensure_ascii=False, indent=1))
    else:
        show.print_list(packs, console())
    return 0


@app.command(name="show")
def show_pack(name: str, /, *, as_json: AsJson = False) -> int:
    """Show one pack: its tiers, deadlines and rules, with sources and what is from memory. Next: xinliu packs diff.

    Parameters
    ----------
    name
        As xinliu packs list says it, e.g. CN-36.
    """
    from stream_processors.console import console
    from stream_processors.rules import show
    from stream_processors.rules.laws import pack_of

    pack = pack_of(name, Settings.from_env(os.environ))
    if as_json:
        print(json.dumps(show.pack_json(pack), ensure_ascii=False, indent=1))
    else:
        show.print_pack(pack, console())
    return 0


@app.command(name="diff")
def diff_packs(before: str, after: str, /, *, as_json: AsJson = False) -> int:
    """Say what would change for the current records from one law to another: drafts, ends, windows. Writes nothing.

    Of a pack by its name the days are set aside: it is taken for every record. Next: the folder as XINLIU_RULES (rules)
    and XINLIU_REFERENCE (publication), and the lanes started again.

    Parameters
    ----------
    before
        A pack's name, a folder of packs, or current: all packs as they are.
    after
        The same.
    """
    from stream_processors.console import console
    from stream_processors.rules import show
    from stream_processors.rules.difference import difference

    settings = Settings.from_env(os.environ)
    laws, found = difference(settings, before, after)
    if as_json:
        print(json.dumps(show.difference_json(laws, found), ensure_ascii=False, indent=1))
    else:
        show.print_difference(laws, found, console())
    return 0
