"""How many rows a second are read and mapped on one core: `python -m tests.bench.readers`, one JSON line at the end.

The files are made here, the same each time: registrations and penalties as .csv, penalties as .xlsx, no two rows alike.
The time is the process's CPU time for `read` and `Mapping.apply` together, the guard included, with one thread. The
digest says what came out: a change that is faster and means something else shows.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"  # before the first import of polars

import numpy as np
import polars as pl

from producers.mapping import load
from producers.readers import read
from producers.simulate.bodies import bodies
from producers.simulate.writers import write_file
from schemas.hashing import hash_64
from schemas.settings import Settings

Row = dict[str, str]
SEED = 7
_BASES = [f"《中华人民共和国广告法》第{number}条" for number in ("五十五", "五十七", "五十八", "五十九", "六十")]
_AUTHORITIES = [f"{place}市场监督管理局（演示）" for place in ("济南市", "历下区", "市中区", "槐荫区", "天桥区")]
_CLASSES = ("罚款", "警告;罚款", "没收违法所得、罚款", "警告", "责令停产停业")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="of each .csv; a third of it in the .xlsx")
    options = parser.parse_args()
    print(json.dumps(bench(options.rows), ensure_ascii=False))


def bench(rows: int) -> dict[str, object]:
    """All figures: rows per CPU second of each file, and one digest of everything that was mapped."""
    figures: dict[str, object] = {"rows": rows}
    digest = 0
    with tempfile.TemporaryDirectory(prefix="xinliu-bench-") as folder:
        for name, mapping, count, row in (
            ("registrations.csv", "registration-cn", rows, registration),
            ("penalties.csv", "penalty-2018", rows, penalty),
            ("penalties.xlsx", "penalty-2018", rows // 3, penalty),
        ):
            path = Path(folder) / name
            write_file(path, made(row, count))
            seconds, found = measured(path, mapping, count)
            digest = (digest * 31 + found) % (1 << 64)
            figures[f"{name}_rows_per_cpu_second"] = round(count / seconds)
            print(f"{name:18} {count / seconds:>10,.0f} rows per CPU second", file=sys.stderr)
    return figures | {"digest": f"{digest:016x}"}


def measured(path: Path, mapping_name: str, rows: int) -> tuple[float, int]:
    """CPU seconds of reading and mapping a file, and the digest of its events."""
    mapping = load(mapping_name, Settings())
    begun = time.process_time()
    batches = [mapping.apply(chunk).events for chunk in read(path, mapping.layout)]
    seconds = time.process_time() - begun
    assert sum(batch.num_rows for batch in batches) == rows, "each row is one event"
    digest = 0
    for batch in batches:
        frame = pl.DataFrame(pl.from_arrow(batch)).drop("event_id", "reported_at", "submission", "mapping")
        lists = [name for name, dtype in frame.schema.items() if dtype == pl.List(pl.String)]
        texts = frame.with_columns(pl.col(name).list.join("|") for name in lists).cast(pl.String).fill_null("")
        digest += int(hash_64(texts, texts.columns).sum(dtype=np.uint64))
    return seconds, digest % (1 << 64)


def made(row: Callable[[int, str, str], Row], count: int) -> list[Row]:
    """So many rows, each about an organisation of its own that does not exist."""
    found = bodies(SEED, np.arange(count, dtype=np.int64), ["370102", "370103", "370181"])
    return [row(number, name, code) for number, (name, code) in enumerate(zip(found.names, found.codes, strict=True))]


def registration(number: int, name: str, code: str) -> Row:
    return {
        "企业名称": name,
        "统一社会信用代码": code,
        "注册日期": (date(1999, 1, 1) + timedelta(days=number % 8000)).isoformat(),
        "企业类型": "有限责任公司",
        "注册资金": f"{number % 900 + 10}万人民币",
        "所在省份": "山东省",
        "地区": "济南市",
    }


def penalty(number: int, name: str, code: str) -> Row:
    day = date(2023, 1, 1) + timedelta(days=number % 900)
    fined = number % 5 < 3
    return {
        "行政相对人名称": name,
        "行政相对人类别": "法人及非法人组织",
        "行政相对人代码_1（统一社会信用代码）": code,
        "行政相对人代码_2（工商注册号）": "",
        "行政相对人代码_3（组织机构代码）": "",
        "行政相对人代码_4（税务登记号）": "",
        "法定代表人": "",
        "证件类型": "",
        "证件号码": "",
        "行政处罚决定书文号": f"济市监罚〔{day.year}〕{number}号",
        "违法行为类型": "违反广告管理规定",
        "违法事实": "发布违法广告",
        "处罚依据": "；".join((_BASES[number % 5], _BASES[number % 3])),
        "处罚类别": _CLASSES[number % 5],
        "处罚内容": f"处以罚款{number % 90 + 1}000元" if fined else "处以警告",
        "罚款金额（万元）": f"{(number % 90 + 1) / 10:.1f}" if fined else "",
        "没收违法所得、没收非法财物的金额（万元）": "",
        "处罚决定日期": f"{day:%Y/%m/%d}",
        "公示截止期": f"{day + timedelta(days=365):%Y/%m/%d}",
        "处罚机关": _AUTHORITIES[number % 5],
        "处罚机关统一社会信用代码": "",
        "地方编码": "370100",
        "当前状态": "正常",
        "备注": "",
    }


if __name__ == "__main__":
    main()
