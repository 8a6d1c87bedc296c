"""The receiver that the page shows works as shown, and the page names every outcome and target."""

import asyncio
import re
import threading
import time
from pathlib import Path

from ops_receivers import SECRET, encoded, measure

from schemas import codec
from schemas.avro import MEASURE
from stream_processors.ops.control import BECAUSE, LANES
from stream_processors.ops.message import message_id, webhook_body
from stream_processors.ops.signature import Secret
from stream_processors.ops.webhook import Webhook

PAGE = (Path(__file__).parents[2] / "deploy" / "webhooks.md").read_text()


def test_the_receiver_of_the_page_takes_each_message_once_and_refuses_what_is_not_signed():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    shown: dict = {"__name__": "shown"}
    exec(compile(code, "deploy/webhooks.md", "exec"), shown)
    server = shown["server"](0, SECRET)
    port = server.server_address[1]
    server.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    row = codec.decode(MEASURE, encoded(measure())).batch.to_pylist()[0]
    other = "whsec_" + "A" * 32

    async def send(secret: str) -> str:
        async with Webhook(f"http://127.0.0.1:{port}/", [Secret(secret)], time.time) as hook:
            answer = await hook.deliver(message_id(row), webhook_body(row))
            return answer.why or "ok"

    try:
        assert [asyncio.run(send(secret)) for secret in (SECRET, SECRET, other)] == ["ok", "ok", "status_401"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert shown["MEASURES"] == {"c1": "in_force"} and len(shown["SEEN"]) == 1


def test_the_page_names_what_can_be_ordered():
    assert "|".join(BECAUSE) in PAGE
    assert all(re.search(rf"^\| .*\b{lane}\b", PAGE, re.M) for lane in LANES)
