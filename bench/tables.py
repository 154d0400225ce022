"""Measure how fast tables are read, beside pandas and polars: `python -m bench.tables` (`make tables`).

Writes bench/results/tables.csv; needs the extras `arrow` and `bench`, not ../shared; takes a minute or two.

Each table has a million rows: rising numbers of images below 14,197,122, and labels below 1,000. It is in memory, and
is read `TURNS` times by each reader, by turns; the median counts. Times are CPU seconds of all threads, so that a busy
machine matters less. PLADA's time includes all checks and the payload; the other readers stop at their columns.

The bar of delimited text is twice the time in which PLADA read plain digits when it read nothing else: numpy.loadtxt,
then the payload.
"""

from __future__ import annotations

import gzip
import io
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from bench.table import RESULTS, write_rows
from plada_codec import Payload, interop
from plada_codec.progress import Progress, progress_bar

ROWS = 1_000_000
REFERENCE_SIZE, CLASSES = 14_197_122, 1_000
TURNS = 5
#: The most that a table may take of the yardstick's time, and the table and the reader that are the yardstick.
MOST_TIMES, PLAIN, YARDSTICK = 2.0, "plain digits", "numpy.loadtxt and Payload"

#: Layouts that polars does not read.
NOT_OF_POLARS = ("spaces around, blank lines", "numpy.savetxt's exponents")

Reader = Callable[[bytes], Any]


def delimited(indices: list[int], labels: list[int]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Layouts of delimited text: the text, and the arguments with which pandas reads it."""
    rows = list(zip(indices, labels, strict=True))
    named = "index,label\n"
    return {
        PLAIN: (named + "".join(f"{index},{label}\n" for index, label in rows), {}),
        "CR LF": (named + "".join(f"{index},{label}\r\n" for index, label in rows), {}),
        "semicolons and quotes": (
            '"label";"index"\n' + "".join(f'"{label}";"{index}"\n' for index, label in rows),
            {"sep": ";"},
        ),
        "four columns": (
            ",index,label,score\n" + "".join(f"{at},{row[0]},{row[1]},0.125\n" for at, row in enumerate(rows)),
            {},
        ),
        "whole decimals": (named + "".join(f"{index}.0,{label}.0\n" for index, label in rows), {}),
        "spaces around, blank lines": (named + "".join(f" {index} , {label}\n\n" for index, label in rows), {}),
        "numpy.savetxt's exponents": (
            "".join(f"{index:.18e} {label:.18e}\n" for index, label in rows),
            {"sep": " ", "header": None},
        ),
    }


def plain_reader(stream: BinaryIO) -> Payload:
    """Read plain digits below a header."""
    columns = np.loadtxt(stream, np.int64, delimiter=",", skiprows=1).T
    return Payload(columns[0].copy(), columns[1].copy(), REFERENCE_SIZE, CLASSES)


def reader(function: Callable[..., Any], **arguments: Any) -> Reader:
    """A reader of bytes, of a function that reads a stream."""
    return lambda data: function(io.BytesIO(data), **arguments)


def tables(indices: list[int], labels: list[int]) -> dict[tuple[str, str], tuple[bytes, dict[str, Reader]]]:
    """The bytes of each table, by format and layout, and the readers of others by name."""
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: dict[tuple[str, str], tuple[bytes, dict[str, Reader]]] = {}
    for layout, (text, arguments) in delimited(indices, labels).items():
        readers = {"pandas": reader(pd.read_csv, **arguments)}
        if layout not in NOT_OF_POLARS:
            readers["polars"] = reader(pl.read_csv, separator=arguments.get("sep", ","))
        if layout == PLAIN:
            readers[YARDSTICK] = reader(plain_reader)
        found["csv", layout] = text.encode(), readers
    plain = found["csv", PLAIN][0]
    found["csv", "UTF-16"] = plain.decode().encode("utf-16"), {"pandas": reader(pd.read_csv, encoding="utf-16")}
    found["csv", "gzip"] = (
        gzip.compress(plain, mtime=0),
        {"pandas": reader(pd.read_csv, compression="gzip"), "polars": reader(pl.read_csv)},
    )
    lines = "".join(f'{{"index":{index},"label":{label}}}\n' for index, label in zip(indices, labels, strict=True))
    found["jsonl", "two keys"] = (
        lines.encode(),
        {"pandas": reader(pd.read_json, lines=True), "polars": reader(pl.read_ndjson)},
    )
    stream = io.BytesIO()
    pq.write_table(pa.table({"index": indices, "label": labels}), stream)
    found["parquet", "two columns"] = (
        stream.getvalue(),
        {"pandas": reader(pd.read_parquet), "polars": reader(pl.read_parquet)},
    )
    return found


def median_cpu_s(readers: dict[str, Reader], data: bytes) -> dict[str, float]:
    """The median of each reader's CPU seconds, of all its threads."""
    times_s: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(TURNS):
        for name, read in readers.items():
            start = time.process_time()
            read(data)
            times_s[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in times_s.items()}


def measured(rows: int, progress: Progress) -> Iterator[dict[str, Any]]:
    """A row for each table and reader."""
    draw = np.random.default_rng(0)
    indices = np.sort(draw.choice(REFERENCE_SIZE, rows, replace=False)).tolist()
    found = tables(indices, draw.integers(0, CLASSES, rows).tolist())
    most_s = 0.0
    for number, ((format, layout), (data, others)) in enumerate(found.items()):
        progress(number, len(found))
        ours = reader(interop.read, format=format, reference_size=REFERENCE_SIZE, num_classes=CLASSES)
        medians_s = median_cpu_s({"plada": ours, **others}, data)
        most_s = most_s or MOST_TIMES * medians_s[YARDSTICK]
        for name, median_s in medians_s.items():
            has_bar = name == "plada" and format == "csv"
            yield {
                "format": format,
                "layout": layout,
                "bytes": len(data),
                "reader": name,
                "cpu_s": f"{median_s:.3f}",
                "rows_per_cpu_s": round(rows / median_s),
                "bar_s": f"{most_s:.3f}" if has_bar else "",
                "met": ("met" if median_s <= most_s else "missed") if has_bar else "stated",
            }


def main() -> None:
    with progress_bar("reading tables") as progress:
        rows = list(measured(ROWS, progress))
    for row in rows:
        print(row)
    packages = ("numpy", "pandas", "polars", "pyarrow")
    sources = ("plada_codec/tables", "plada_codec/interop", "bench/tables.py")
    write_rows(RESULTS / "tables.csv", "python -m bench.tables", rows, packages, sources)


if __name__ == "__main__":
    main()
