"""Run the benchmark of sizes, times and peak memory: `python -m bench.payload.run`, or `make bench`.

Each selection of bench/corpora.py, called a cell, is measured with each compressor of compressors.py. The program
writes size.csv, speed.csv, bars.csv and two plots to bench/results, and prints the tables of docs/figures.md and the
bars.

Measurements are kept in .cache/bench, so that an interrupted benchmark continues. After a change of plada_codec only
our compressors are measured again, with the two yardsticks of time (zstd-19 and brotli -11, in their smallest variant):
ratios of our times then come from one process and moment. `--fresh` measures everything again. It is needed after a
change of the way of measuring (measure.py, compressors.py).

Two processes measure cells on two cores. They share memory bandwidth, which changes absolute seconds but hardly changes
ratios, because the compressors of a cell run one after the other in one process. The corpus of the speed table is
measured last and alone.
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
from bench.corpora import SPEED_CORPUS, Corpus, CorpusRule, CorpusScores, corpora, require_corpora
from bench.figures import tables
from bench.payload.compressors import compressors
from bench.payload.measure import Compressor, measure
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
        raise SystemExit("no name of a cell matches --only")
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
    parser = argparse.ArgumentParser(prog=_COMMAND, description="Measure sizes, times and memory on every corpus.")
    parser.add_argument(
        "--only", metavar="REGEX", help="measure cells whose name matches; results go to .cache/bench/only"
    )
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes (default 2)")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    return parser.parse_args()


def _in_processes(workers: int, cells: list[tuple[Corpus, CorpusRule]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name and the rows of each finished cell; an error in one cell ends all."""
    if not cells:
        return
    os.environ.update({"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", MODE_VARIABLE: "compiled"})
    # The longest measurements come first, so that all processes end at about the same time
    longest_first = sorted(cells, key=lambda cell: -cell[0].images)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_measure_cell, corpus.name, rule): corpus.cell(rule) for corpus, rule in longest_first}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# The work of a process


@functools.lru_cache(maxsize=1)
def _scores(corpus_name: str) -> CorpusScores:
    return next(corpus for corpus in corpora() if corpus.name == corpus_name).load()


@functools.cache
def _keys() -> dict[str, str]:
    """Digest and releases that each kind of row depends on, besides the selection."""
    releases = " ".join(versions())
    return {
        "ours": sources_digest("plada_codec") + releases,
        "paper": sources_digest("plada_codec/interop/comparison.py", "plada_codec/codings/bitmap.py") + releases,
        "peers": sources_digest("bench/payload/peers.py", "bench/payload/baselines.py") + releases,
    }


def _measure_cell(corpus_name: str, rule: CorpusRule) -> list[dict[str, Any]]:
    """Measure a cell; return a row for each compressor."""
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
    for compressor in compressors(payload):
        record = _measured(cell, compressor, payload, selection)
        if record is not None:
            rows.append(
                common
                | {"what": compressor.output, "coder": compressor.name, "kind": compressor.kind}
                | {"variant": record["note"] or record["variant"], "bytes": record["sizes"][record["variant"]]}
                | {name: record[name] for name in ("encode_s", "decode_s", "encode_peak_bytes", "decode_peak_bytes")}
            )
    rows += [common | row for row in _paper_rows(cell, payload, selection)]
    rows += [common | row for row in QUOTED.get(cell, ())]
    return rows


def _measured(cell: str, compressor: Compressor, payload: Payload, selection: str) -> dict[str, Any] | None:
    """Measure a compressor, unless .cache/bench has its measurement."""
    keys = _keys()
    size_key = selection + keys["ours" if compressor.kind == "ours" else "peers"]
    time_key = size_key + (keys["ours"] if compressor.name in YARDSTICKS else "")
    path = _cache_path(cell, f"{compressor.output} {compressor.name}")
    cached: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if cached.get("time_key") == time_key:
        return cached["measured"]  # type: ignore[no-any-return]
    sizes: dict[str, int] = {}
    variant = None
    if cached.get("size_key") == size_key and cached["measured"] is not None:
        sizes, variant = cached["measured"]["sizes"], cached["measured"]["variant"]
    result = measure(compressor, payload, variant)
    measured = None if result is None else asdict(result) | {"sizes": sizes | result.sizes}
    _write_cache(path, {"size_key": size_key, "time_key": time_key, "measured": measured})
    return measured


def _paper_rows(cell: str, payload: Payload, selection: str) -> list[dict[str, Any]]:
    """The paper's sizes of the universe alone: its format has no universe, and would encode the other images too."""
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


def _cache_path(cell: str, name: str) -> Path:
    return CACHE / re.sub(r"[^\w.@()+-]", "_", cell) / (re.sub(r"[^\w.@()+-]", "_", name) + ".json")


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
