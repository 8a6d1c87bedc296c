"""One tree of errors, sorted by what happens next.

    XinliuError                 one clear sentence: what we were doing, what to do next
    ├── InputError              the user's file, flag or mapping: nothing was sent; mend it and run again (exit 2)
    ├── ConfigurationError      a setting: all problems reported in one go, at start (exit 2)
    ├── Retryable               the other side is away for now: the same call again may succeed (exit 75 in a CLI)
    └── Stop                    this process can not go on with what it knows: it ends, its supervisor starts it
                                again, and nothing is lost (exit 70)

Bad *data* is never an exception: it is a reject with a reason (`schemas.reasons`). Foreign errors are mapped at
one border each: Kafka's in `stream_processors.kafka` and `producers.publisher`, ClickHouse's in
`stream_processors.store`.
"""

EXIT_SOME_NOT_GOOD = 1
EXIT_INPUT = 2
EXIT_STOP = 70
EXIT_RETRY = 75


class XinliuError(Exception):
    """Base of all errors that a person may see; `str(error)` is the whole sentence."""

    exit_code = EXIT_INPUT


class InputError(XinliuError):
    """What the user handed in can not be used."""


class ConfigurationError(XinliuError):
    """The environment asks for something impossible; the message lists every problem."""


class Retryable(XinliuError):
    """A server does not answer for now."""

    exit_code = EXIT_RETRY


class Stop(XinliuError):
    """The process ends (crash-only) and comes back from the committed log."""

    exit_code = EXIT_STOP
