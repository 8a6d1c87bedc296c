"""The benchmark of the cases at a tiny size: it runs, says all that it promises, and means the same as before."""

from tests.bench import cases

# Changes only when what is told of the same lives changes: say in the commit why, and put the new one here.
DIGEST_OF_200 = "b4131a305a9fd93e"


def test_the_benchmark_of_the_cases_runs_and_its_digest_stands() -> None:
    figures = cases.bench(200)
    assert figures["transitions"] == 4 * 200  # drafted, noticed, decided, entered
    assert figures["facts_per_cpu_second"] > 0
    assert figures["digest"] == DIGEST_OF_200


def test_looking_for_what_is_due_costs_the_same_however_many_are_not(monkeypatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(cases.Book, "_judge", lambda *_: looked.append(1))
    for count in (10, 1_000):
        book = cases.Book({}, cases.load_calendar())
        book.open([0])
        for number in range(count):
            book._due[0].append((cases.TODAY.replace(year=2027), f"org:{number}", ("", "")))
        book.pass_time(cases.NOW, cases.News(), 5_000)
        assert len(book._due[0]) == count
    assert looked == [], "nothing that is not due is looked at"
