"""How departments write words, dates, amounts and lists, read column by column into exact values.

Every parser takes a column of tidied text and gives back the values and which of the texts it could not read. Equal
texts are read once. Nothing here guesses: what is not plainly a date or an amount is unreadable.
"""

from producers.formats.amounts import UNITS, parse_amounts
from producers.formats.dates import DATE_STYLES, parse_dates, parse_timestamps
from producers.formats.lists import SPLITTERS
from producers.formats.parsed import Parsed
from producers.formats.words import fold, holds, plain_text, tidy

__all__ = [
    "DATE_STYLES",
    "SPLITTERS",
    "UNITS",
    "Parsed",
    "fold",
    "holds",
    "parse_amounts",
    "parse_dates",
    "parse_timestamps",
    "plain_text",
    "tidy",
]
