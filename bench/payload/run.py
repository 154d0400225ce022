"""Run the benchmark of sizes, times and peak memory: `python -m bench.payload.run`, or `make bench`.

Every selection of bench/corpora.py (a cell) by every coder of coders.py. Writes size.csv, speed.csv, bars.csv and two
plots to bench/results, prints the tables of docs/figures.md and what became of the bars.

What is measured is kept in .cache/bench: a run that was interrupted goes on, and after a change of plada_codec only its
own coders are measured again, with the two yardsticks of time (zstd-19 and brotli -11, in their smallest variant), so
that ratios of our times are always of one process and moment; the other peers' are after `--fresh`. That forgets what
was measured, as it must where the way of measuring changes (measure.py, coders.py).

Cells are measured by two processes at a time, on both cores of the machine this is for: absolute seconds suffer where
they share memory bandwidth, ratios hardly, as a cell's coders run one after the other in one process. The corpus of the
speed table is measured last and alone.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.bars import bars
from bench.corpora import SPEED_CORPUS, Corpus, Rule, Scores, corpora, require_corpora
from bench.figures import tables
from bench.payload.coders import coders
from bench.payload.measure import Coder, measure
from bench.payload.peers import QUOTED
from bench.plots import plot
from bench.table import RESULTS, ROOT, YARDSTICKS, read_rows, sources_digest, versions, write_rows
from plada_codec import Payload
from plada_codec.files import atomic_write
from plada_codec.interop.comparison import compare
from plada_codec.kernels.jit import MODE_VARIABLE
from plada_codec.progress import progress_bar

CACHE = ROOT / ".cache" / "bench"
_COMMAND = "python -m bench.payload.run"


def main() -> None:
    arguments = _arguments()
    require_corpora()
    if arguments.list:
        print(*(corpus.cell(rule) for corpus in corpora() for rule in corpus.rules), sep="\n")
        return
    if arguments.fresh:
        for path in CACHE.rglob("*.json"):
            path.unlink()
    chosen = re.compile(arguments.only or "").search
    cells = [(corpus, rule) for corpus in corpora() for rule in corpus.rules if chosen(corpus.cell(rule))]
    if not cells:
        raise SystemExit("no cell has such a name")
    together = [cell for cell in cells if cell[0].name != SPEED_CORPUS]
    alone = [cell for cell in cells if cell[0].name == SPEED_CORPUS]
    measured: dict[str, list[dict[str, Any]]] = {}
    with progress_bar(f"measuring {len(cells)} cells") as progress:
        for workers, part in ((arguments.workers, together), (1, alone)):
            for cell, rows in _in_processes(workers, part):
                measured[cell] = rows
                progress(len(measured), len(cells))
                if not sys.stderr.isatty():
                    print(f"{time.strftime('%H:%M:%S')} {len(measured)}/{len(cells)} {cell}", file=sys.stderr)
    rows = [row for corpus, rule in cells for row in measured[corpus.cell(rule)]]

    results = CACHE / "only" if arguments.only else RESULTS
    results.mkdir(parents=True, exist_ok=True)
    write_rows(results / "size.csv", _COMMAND, [_size_row(row) for row in rows])
    write_rows(results / "speed.csv", _COMMAND, list(_speed_rows(rows)))
    size_rows, speed_rows = read_rows(results / "size.csv"), read_rows(results / "speed.csv")
    reached = bars(size_rows, speed_rows)
    write_rows(results / "bars.csv", _COMMAND, [asdict(bar) for bar in reached])
    plot(size_rows, speed_rows, results)
    print(tables(size_rows, speed_rows))
    for bar in reached:
        print(f"{bar.met:12} {bar.what}: {bar.reached} (bar {bar.bar}) {bar.where}")
    print(f"written to {results}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_COMMAND, description="Measures sizes, times and memory on every corpus.")
    parser.add_argument("--only", metavar="REGEX", help="cells whose name has this; results go to .cache/bench/only")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time (default 2)")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    return parser.parse_args()


def _in_processes(workers: int, cells: list[tuple[Corpus, Rule]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(cell, rows) of each cell as it is done; a failure ends all."""
    if not cells:
        return
    os.environ.update({"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", MODE_VARIABLE: "compiled"})
    # Those that take longest first, so that no process is left alone at the end
    longest_first = sorted(cells, key=lambda cell: -cell[0].images)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_measure_cell, corpus.name, rule): corpus.cell(rule) for corpus, rule in longest_first}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# In a process of its own


@functools.lru_cache(maxsize=1)
def _scores(corpus_name: str) -> Scores:
    return next(corpus for corpus in corpora() if corpus.name == corpus_name).load()


@functools.cache
def _keys() -> dict[str, str]:
    """For each kind of row, what it depends on besides the selection."""
    releases = " ".join(versions())
    return {
        "ours": sources_digest("plada_codec") + releases,
        "paper": sources_digest("plada_codec/interop/comparison.py", "plada_codec/codings/bitmap.py") + releases,
        "peers": sources_digest("bench/payload/peers.py", "bench/payload/baselines.py") + releases,
    }


def _measure_cell(corpus_name: str, rule: Rule) -> list[dict[str, Any]]:
    """A row for each coder."""
    corpus = next(corpus for corpus in corpora() if corpus.name == corpus_name)
    payload = rule.payload(_scores(corpus_name))
    cell = corpus.cell(rule)
    content = payload.indices.tobytes() + payload.labels.tobytes() + repr(payload).encode()
    selection = hashlib.sha256(content).hexdigest()
    common = {
        "corpus": corpus.name,
        "family": corpus.family,
        "rule": rule.name,
        "keep": f"{rule.keep:g}",
        "reference_size": payload.reference_size,
        "num_classes": payload.num_classes,
        "kept": payload.kept,
    }
    rows = []
    for coder in coders(payload):
        record = _measured(cell, coder, payload, selection)
        if record is not None:
            rows.append(
                common
                | {"what": coder.what, "coder": coder.name, "kind": coder.kind}
                | {"variant": record["note"] or record["variant"], "bytes": record["sizes"][record["variant"]]}
                | {name: record[name] for name in ("encode_s", "decode_s", "encode_peak_bytes", "decode_peak_bytes")}
            )
    rows += [common | row for row in _paper_rows(cell, payload, selection)]
    rows += [common | row for row in QUOTED.get(cell, ())]
    return rows


def _measured(cell: str, coder: Coder, payload: Payload, selection: str) -> dict[str, Any] | None:
    """`measure`, unless it was done before."""
    keys = _keys()
    size_key = selection + keys["ours" if coder.kind == "ours" else "peers"]
    time_key = size_key + (keys["ours"] if coder.name in YARDSTICKS else "")
    path = _cache_path(cell, f"{coder.what} {coder.name}")
    cached: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if cached.get("time_key") == time_key:
        return cached["measured"]  # type: ignore[no-any-return]
    sizes: dict[str, int] = {}
    variant = None
    if cached.get("size_key") == size_key and cached["measured"] is not None:
        sizes, variant = cached["measured"]["sizes"], cached["measured"]["variant"]
    result = measure(coder, payload, variant)
    measured = None if result is None else asdict(result) | {"sizes": sizes | result.sizes}
    _write_cache(path, {"size_key": size_key, "time_key": time_key, "measured": measured})
    return measured


def _paper_rows(cell: str, payload: Payload, selection: str) -> list[dict[str, Any]]:
    """The paper's sizes, over the universe alone: it knows none, and would pay for the images outside."""
    path, key = _cache_path(cell, "paper"), selection + _keys()["paper"]
    cached: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if cached.get("key") != key:
        alone = Payload(payload.positions, payload.labels, payload.universe_size, payload.num_classes)
        layouts = [asdict(layout) for layout in compare(alone).layouts]
        cached = {"key": key, "layouts": layouts}
        _write_cache(path, cached)
    rows = []
    for form in ("raw", "compact", "huffman", "zstd"):
        best = min(cached["layouts"], key=lambda layout: layout[f"{form}_bytes"])
        rows.append(
            {
                "what": "file",
                "coder": f"paper's {form}",
                "kind": "paper",
                "variant": best["layout"],
                "bytes": best[f"{form}_bytes"],
            }
        )
    return rows


def _cache_path(cell: str, coder: str) -> Path:
    return CACHE / re.sub(r"[^\w.@()+-]", "_", cell) / (re.sub(r"[^\w.@()+-]", "_", coder) + ".json")


def _write_cache(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(json.dumps(record).encode())


# Rows of the CSVs


def _size_row(row: dict[str, Any]) -> dict[str, Any]:
    names = ("corpus", "family", "rule", "keep", "reference_size", "num_classes", "kept", "what", "coder", "kind")
    return {name: row[name] for name in (*names, "variant", "bytes")}


def _speed_rows(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    timed = [row for row in rows if "encode_s" in row]
    cell_of = {id(row): (row["corpus"], row["rule"], row["keep"]) for row in timed}
    yardsticks = {(*cell_of[id(row)], row["coder"]): row for row in timed if row["coder"] in YARDSTICKS}
    for row in timed:
        zstd, brotli = (yardsticks[(*cell_of[id(row)], name)] for name in YARDSTICKS)
        yield {
            **{name: row[name] for name in ("corpus", "rule", "keep", "kept", "what", "coder", "bytes")},
            "encode_s": f"{row['encode_s']:.4g}",
            "decode_s": f"{row['decode_s']:.4g}",
            "encode_over_zstd": f"{row['encode_s'] / zstd['encode_s']:.4g}",
            "decode_over_zstd": f"{row['decode_s'] / zstd['decode_s']:.4g}",
            "encode_over_brotli": f"{row['encode_s'] / brotli['encode_s']:.4g}",
            "decode_over_brotli": f"{row['decode_s'] / brotli['decode_s']:.4g}",
            "decode_over_brotli_encode": f"{row['decode_s'] / brotli['encode_s']:.4g}",
            "encode_peak_mb": f"{row['encode_peak_bytes'] / 1e6:.1f}",
            "decode_peak_mb": f"{row['decode_peak_bytes'] / 1e6:.1f}",
        }


if __name__ == "__main__":
    main()
