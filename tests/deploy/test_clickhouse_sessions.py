"""Sessions of the local ClickHouse end when their time is over, by a clock that the test holds."""

import asyncio
from typing import Any, cast

import pytest

from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import EngineError
from deploy.local.clickhouse.sessions import Sessions


def sessions() -> Sessions:
    """No context opens the engine before its first query, and these tests make none."""
    return Sessions(cast(Engine, cast(Any, None)))


def test_a_session_lives_for_its_timeout_after_its_last_request():
    async def scenario() -> None:
        under_test = sessions()
        context = await under_test.acquire("a", timeout_seconds=60, must_exist=False)
        assert under_test.expire(now_seconds=1e9) == [], "a session in use must not expire"
        under_test.release("a", now_seconds=100)
        assert under_test.expire(now_seconds=159) == []
        assert await under_test.acquire("a", timeout_seconds=60, must_exist=True) is context
        under_test.release("a", now_seconds=159)
        assert under_test.expire(now_seconds=218) == []
        assert under_test.expire(now_seconds=219) == [context]
        with pytest.raises(EngineError, match="372"):
            await under_test.acquire("a", timeout_seconds=60, must_exist=True)

    asyncio.run(scenario())


def test_the_next_request_waits_for_the_one_before():
    async def scenario() -> None:
        under_test = sessions()
        context = await under_test.acquire("a", timeout_seconds=60, must_exist=False)
        second = asyncio.create_task(under_test.acquire("a", timeout_seconds=60, must_exist=False))
        await asyncio.sleep(0)
        assert not second.done()
        under_test.release("a", now_seconds=0)
        assert await second is context

    asyncio.run(scenario())


@pytest.mark.parametrize("timeout_seconds", [0, -1, 3601])
def test_a_timeout_has_bounds(timeout_seconds):
    with pytest.raises(EngineError, match="374"):
        asyncio.run(sessions().acquire("a", timeout_seconds, must_exist=False))
