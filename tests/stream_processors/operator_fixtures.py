"""One broker with a hand-run platform for the commands of an operator: quarantine and explain.

A plugin of those test files and no conftest, since modules of that name would hide each other.
"""

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from hand_run_platform import AGAIN, MISREAD, SUBMISSION_OF_TAX, WRONG, Platform, event, platform_in
from small_platform import two_departments

from schemas.settings import Settings
from tests.schemas.events import RESIDENT_ID, SOLE_TRADER


@pytest.fixture(scope="session")
def broker_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with platform_in(tmp_path_factory.mktemp("hand-run")) as settings:
        yield settings


@pytest.fixture(scope="session")
def platform(broker_of_its_own: Settings) -> Platform:
    """Good rows and bad ones, a message that is no event, and lanes that have come to all of it; the store is away."""
    platform = Platform(broker_of_its_own, two_departments())
    platform.report(
        event(2),
        event(3, subject_ids=[f"CN-USCC:{WRONG}"]),
        event(4, subject_ids=[f"CN-USCC:{MISREAD}"], decided_on=date(2026, 3, 3)),
        event(5, faults=["value_unreadable:fine_fen"]),
        event(6, subject_ids=[f"CN-USCC:{WRONG}"], subject_name="赵某某"),
        event(7, item=f"经办 {RESIDENT_ID}"),
        event(8, subject_ids=[f"CN-USCC:{SOLE_TRADER}"], subject_name="赵某某"),
        event(9),
    )
    platform.report(event(2, submission=SUBMISSION_OF_TAX, subject_ids=[]), department="tax")
    platform.report_bytes([b"nothing that could be read"], [None], [0])
    platform.run_lanes()
    platform.report(
        event(2, submission=AGAIN),
        event(
            9,
            submission=AGAIN,
            operation="annul",
            document_number=event(9)["document_number"],
            change_document_number="济市监撤[2026]1号",
            change_decided_on=date(2026, 4, 1),
        ),
    )
    platform.run_lanes()
    return platform


@pytest.fixture
def environment(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Commands find this platform."""

    def use(settings: Settings) -> None:
        monkeypatch.setenv("XINLIU_HOME", str(settings.home))
        monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", settings.kafka)
        monkeypatch.setenv("XINLIU_CLICKHOUSE_URL", settings.clickhouse)
        monkeypatch.setenv("XINLIU_CLICKHOUSE_DATABASE", settings.clickhouse_database)
        monkeypatch.setenv("XINLIU_PARTITIONS", str(settings.partitions))

    use(platform.settings)
    return use
