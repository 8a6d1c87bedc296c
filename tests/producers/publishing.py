"""A department for tests: registered, with topics on the real broker, files to send, and a platform that answers."""

import csv
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import polars as pl
from companies import company_code as code
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import Broker

import schemas.reference
from producers import kafka
from producers.mapping import load
from producers.publisher import Order
from producers.simulate.people import resident_number
from schemas import codec
from schemas.avro import CREDIT_EVENT, RECEIPT
from schemas.settings import Settings
from schemas.topics import events_topic, receipts_topic

PARTITIONS = 3
PERSON = resident_number(Random(1))
HEADERS = ["企业名称", "统一社会信用代码", "注册日期", "企业类型", "注册资金"]


def write_registrations(path: Path, count: int, first: int = 0, persons: int = 0) -> Path:
    """A file of so many organisations; then rows that name a made-up person's number (a region without counties)."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        writer.writerows(
            [f"演示{n}有限公司", code(n), "2001-02-03", "有限责任公司", ""] for n in range(first, first + count)
        )
        writer.writerows(["赵甲", PERSON, "2001-02-03", "", ""] for _ in range(persons))
    return path


@dataclass(frozen=True)
class Department:
    """A registered department with topics of its own, so that tests do not see each other's events."""

    name: str
    settings: Settings

    def order(self, path: Path, mapping: str = "registration-cn", **options: object) -> Order:
        return Order(path, self.name, load(mapping, self.settings), **options)  # type: ignore[arg-type]

    def events(self) -> pl.DataFrame:
        """Everything on its topic, as any other reader sees it."""
        topic = events_topic(self.name)
        ends = kafka.end_offsets(self.settings, topic, PARTITIONS)
        batches = kafka.read_up_to(self.settings, topic, dict.fromkeys(range(PARTITIONS), 0), ends, 20)
        values = [value for batch in batches for value in batch]
        decoded = codec.decode(CREDIT_EVENT, values)
        assert len(decoded.rows) == len(values)
        return pl.DataFrame(pl.from_arrow(decoded.batch))


def register_department(broker: Broker, settings_for: Callable[..., Settings], folder: Path) -> Department:
    """A department under a new name, with its topics, in a platform of its own."""
    name = "test-" + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:12])
    reference = folder / "reference"
    reference.mkdir()
    (reference / "departments.csv").write_text(
        "id,name_zh,name_en,authority_codes,superior,cadence_days,fictional\n"
        f"{name},测试,test,,,1,true\nother,别的,other,,,1,true\n",
        "utf-8",
    )
    (reference / "authorities.csv").write_text(
        "code,name,aliases,department,superior_code,region,fictional\n"
        f"11370100XXXX00019J,测试市局,,{name},,370100,true\n",
        "utf-8",
    )
    (reference / "pilot_units.csv").write_text(_without_departments(), "utf-8")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    wanted = [NewTopic(events_topic(name), PARTITIONS), NewTopic(receipts_topic(name), 1)]
    for answer in admin.create_topics(wanted).values():
        answer.result(timeout=20)
    return Department(name, settings_for(folder / "home", broker=broker, reference_dir=reference))


def _without_departments() -> str:
    """The shipped pilot units, their sectors moved to the one department that every test has."""
    shipped = Path(schemas.reference.__file__).parent / "pilot_units.csv"
    return shipped.read_text("utf-8").replace(",,market,,", ",,other,,").replace(",,environment,,", ",,other,,")


def rows_and_parts(events: pl.DataFrame) -> Counter[tuple[int, int]]:
    """How often each event of each row is there."""
    return Counter(events.select("source_row", "source_part").rows())


@contextmanager
def answering(department: Department, outcome: str = "new", leave_out: int = 0) -> Iterator[None]:
    """A platform that gives every event of the department the same outcome, and none to so many of the first rows."""
    stop = threading.Event()
    starts = kafka.end_offsets(department.settings, events_topic(department.name), PARTITIONS)

    def answer() -> None:
        reader = kafka.Reader(department.settings, events_topic(department.name), starts)
        producer = Producer({"bootstrap.servers": department.settings.kafka})
        while not stop.is_set():
            if values := reader.take(0.05):
                frame = pl.DataFrame(pl.from_arrow(codec.decode(CREDIT_EVENT, values).batch))
                for (submission,), rows in frame.filter(~pl.col("source_row").is_between(1, 1 + leave_out)).group_by(
                    "submission"
                ):
                    producer.produce(
                        receipts_topic(department.name), receipt(department.name, submission, outcome, rows)
                    )
                producer.flush(10)
        reader.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def receipt(
    department: str, submission: object, outcome: str, rows: pl.DataFrame, said: dict[str, str] | None = None
) -> bytes:
    """One receipt for all of these events; `said` is the reason and detail of what was set aside."""
    said = said or {"reason": "value_missing", "detail": "item"}
    return codec.encode_one(
        RECEIPT,
        {
            "lane": "register",
            "department": department,
            "submission": submission,
            "outcome": outcome,
            "reason": said["reason"] if outcome == "quarantined" else "",
            "detail": said["detail"] if outcome == "quarantined" else "",
            "source_partition": 0,
            "offsets": list(range(rows.height)),
            "rows": rows["source_row"].to_list(),
            "parts": rows["source_part"].to_list(),
            "record_ids": ["" for _ in range(rows.height)],
        },
    )
