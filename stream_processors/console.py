"""Where commands print for people: the terminal as wide as it is, and a fixed width for files and pipes."""

from rich.console import Console

_WIDTH_OF_FILES = 130


def console() -> Console:
    """Standard output."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_WIDTH_OF_FILES)
