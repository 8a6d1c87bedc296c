"""What an adapter prints never repeats a personal number, though a file is called after one or a library quotes one."""

import pytest

from producers import __main__ as adapter
from schemas.errors import EXIT_INPUT, EXIT_STOP, InputError

NUMBER = "110101199003074258"


@pytest.mark.parametrize(
    "words",
    [
        ["check", f"/data/{NUMBER}.csv", "--mapping", "penalty-2018"],
        ["check", "/data/张三１１０１０１１９９００３０７４２５８.csv", "--mapping", "penalty-2018"],
        ["publish", "/data/a.csv", "--department", NUMBER, "--mapping", "penalty-2018"],
        ["check", "/data/batch0/178 4099 4258.csv", "--mapping", "penalty-2018"],
        ["receipts", NUMBER],
        ["check", "/data/a.csv", "--mapping", "110101-19900307-4258"],
        [NUMBER],
    ],
)
def test_a_number_on_the_command_line_is_refused_before_anything_is_done(words, capsys):
    assert adapter.answer(words) == EXIT_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert "looks like a personal number" in err
    assert len(err.strip().splitlines()) == 1
    assert "4258" not in err and "４２５８" not in err


@pytest.mark.parametrize("error", [InputError(f"reading the cell {NUMBER}: no"), ValueError(f"not a date: {NUMBER}")])
def test_a_sentence_that_quotes_a_number_is_shown_without_it(error, monkeypatch, capsys):
    def fail(_settings):
        raise error

    monkeypatch.setattr("producers.mapping.mappings", fail)
    assert adapter.answer(["mappings"]) == (EXIT_INPUT if isinstance(error, InputError) else EXIT_STOP)
    out, err = capsys.readouterr()
    assert "(withheld)" in err
    assert NUMBER not in out + err


@pytest.mark.parametrize(
    "words", [["receipts", "market-20261120-104512-1234"], ["check", "/srv/2026/20261120/名单3.csv", "--mapping", "x"]]
)
def test_submissions_and_paths_are_read(words, capsys):
    adapter.answer(words)
    assert "personal" not in capsys.readouterr().err
