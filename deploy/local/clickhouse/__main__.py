"""Runs the local ClickHouse: `python -m deploy.local.clickhouse --data-dir D --port P`; SIGTERM ends it in order."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.server import ClickHouseHttp, Credentials
from deploy.local.processes import LOOPBACK
from schemas.errors import ConfigurationError, XinliuError

_SHUTDOWN_SECONDS = 10.0


async def serve(engine: Engine, port: int, credentials: Credentials) -> None:
    """Serve until SIGTERM or SIGINT, then let the requests under way end."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    # Bodies are decompressed by `bodies.read_chunks`: aiohttp does not know lz4.
    server = ClickHouseHttp(engine, credentials)
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        auto_decompress=False,
        read_bufsize=1 << 20,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port, reuse_address=True).start()
    except OSError as error:
        raise ConfigurationError(
            f"starting the local ClickHouse: port {port} can not be used ({error.strerror}); "
            "set XINLIU_PORT_BASE to the first of 16 free ports"
        ) from error
    logging.getLogger(__name__).info("listening on http://%s:%d", LOOPBACK, port)
    await stopping.wait()
    await runner.cleanup()
    if server.is_idle:
        engine.close()


def main() -> None:
    """Open the engine and serve it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.clickhouse", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--memory-mb", type=int, default=4096)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    credentials = Credentials(
        os.environ.get("XINLIU_CLICKHOUSE_USER") or "default", os.environ.get("XINLIU_CLICKHOUSE_PASSWORD", "")
    )
    try:
        engine = Engine(arguments.data_dir, arguments.memory_mb)
        asyncio.run(serve(engine, arguments.port, credentials))
    except XinliuError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(error.exit_code)
    logging.getLogger(__name__).info("stopped")
    logging.shutdown()
    # A query that outlived the shutdown still holds the engine and a thread: both end here, as in a crash.
    os._exit(0)


if __name__ == "__main__":
    main()
