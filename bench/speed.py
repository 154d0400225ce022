"""Speed and memory at ImageNet-21K's size, as ratios to zstd-19 and brotli -11 in one run: `python -m bench.speed`.

The corpus is the calibrated CUB-200 one, 14,197,122 images, 1% kept and everything kept. Each measurement runs in a
process of its own, after one small call that loads (or compiles) the kernels. Peak memory is what the resident size
rose to above what it was before the call, input arrays and loaded code thus left out. Writes bench/results/speed.csv.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.corpora import DIGEST, calibrated, require_corpora, write_results
from plada_codec import Payload, decode, encode
from plada_codec.paper import paper_layouts

REPEATS = 3


def zstd_19(data: bytes) -> int:
    import zstandard

    return len(zstandard.ZstdCompressor(level=19).compress(data))


def brotli_11(data: bytes) -> int:
    import brotli

    return len(brotli.compress(data, quality=11))


def _encode(payload: Payload, profile: str) -> int:
    return len(encode(payload, profile))


def _decode(blob: bytes) -> int:
    decode(blob)
    return len(blob)


def _resident_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith(field))


def _measured(queue: Any, work: Callable[..., int], arguments: tuple[Any, ...], warm_up: tuple[Any, ...]) -> None:
    work(*warm_up)
    seconds = []
    before = _resident_bytes("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    for _ in range(REPEATS):
        start = time.perf_counter()
        size = work(*arguments)
        seconds.append(time.perf_counter() - start)
    queue.put((size, min(seconds), _resident_bytes("VmHWM:") - before))


def measure(work: Callable[..., int], arguments: tuple[Any, ...], warm_up: tuple[Any, ...]) -> tuple[int, float, int]:
    """(bytes, seconds of the best of three, peak memory in bytes) of `work(*arguments)`, in a process of its own."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(queue, work, arguments, warm_up))
    process.start()
    result: tuple[int, float, int] = queue.get()
    process.join()
    return result


def small_payload(kept: int, num_classes: int) -> Payload:
    """Something that exercises the same kernels as the corpus."""
    indices = np.unique(np.random.default_rng(0).integers(0, 20_000, kept)) if kept < 20_000 else np.arange(20_000)
    return Payload(indices, indices % num_classes, 20_000, num_classes, DIGEST)


def main() -> None:
    require_corpora()
    energy, labels, num_classes = calibrated("CUB-200", "21k")
    size = len(energy)
    rows = []
    for keep in (0.01, 1.0):
        kept = int(size * keep)
        indices = np.sort(np.argpartition(energy, kept - 1)[:kept]) if kept < size else np.arange(size)
        payload = Payload(indices, labels[indices], size, num_classes, DIGEST)
        tiny = small_payload(int(20_000 * keep), num_classes)
        layouts, tiny_layouts = paper_layouts(payload), paper_layouts(tiny)
        layout = "bmp-compact" if keep < 1 else "all-compact"
        results = {
            "zstd-19": measure(zstd_19, (layouts[layout],), (tiny_layouts[layout],)),
            "brotli -11": measure(brotli_11, (layouts[layout],), (tiny_layouts[layout],)),
        }
        for profile in ("fast", "small"):
            blob = encode(payload, profile)
            tiny_blob = encode(tiny, profile)
            results[f"encode {profile}"] = measure(_encode, (payload, profile), (tiny, profile))
            results[f"decode {profile}"] = measure(_decode, (blob,), (tiny_blob,))
        for name, (result_bytes, seconds, peak_bytes) in results.items():
            rows.append(
                {
                    "corpus": "CUB-200, calibrated",
                    "reference_size": size,
                    "kept": kept,
                    "what": name,
                    "bytes": result_bytes,
                    "seconds": f"{seconds:.3f}",
                    "time_over_zstd19": f"{seconds / results['zstd-19'][1]:.3f}",
                    "time_over_brotli11": f"{seconds / results['brotli -11'][1]:.3f}",
                    "peak_memory_mb": f"{peak_bytes / 1e6:.1f}",
                }
            )
    write_results("speed.csv", "python -m bench.speed", rows)
    columns = ("kept", "what", "bytes", "time_over_zstd19", "time_over_brotli11", "peak_memory_mb")
    table = Table(title=f"CUB-200 calibrated, {size:,} images", show_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), justify="left" if column == "what" else "right")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
