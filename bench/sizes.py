"""Payload sizes on the three real corpora, beside the paper's best: `python -m bench.sizes`.

Writes bench/results/size.csv. Every row is a whole payload with an 8-byte digest, in bytes.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.corpora import REAL, real_selections, require_corpora, write_results
from plada_codec import encode, inspect
from plada_codec.paper import compare


def main() -> None:
    require_corpora()
    rows = []
    for target in REAL:
        for rule, payload in real_selections(target):
            small = encode(payload)
            index, labels, *_ = inspect(small).sections
            best = compare(payload).best_zstd_bytes if payload.universe.stride == 1 else None
            rows.append(
                {
                    "corpus": target,
                    "rule": rule,
                    "reference_size": payload.reference_size,
                    "num_classes": payload.num_classes,
                    "kept": payload.kept,
                    "small_bytes": len(small),
                    "fast_bytes": len(encode(payload, "fast")),
                    "core_bytes": len(encode(payload, decoder_class="core")),
                    "paper_zstd_bytes": best,
                    "ratio": None if best is None else f"{len(small) / best:.4f}",
                    "index_coding": index.coding,
                    "index_bytes": index.bytes,
                    "label_coding": labels.coding,
                    "label_bytes": labels.bytes,
                }
            )
    write_results("size.csv", "python -m bench.sizes", rows)
    table = Table(title="payload bytes, lowest energy on real teachers' scores", show_edge=False)
    columns = ("corpus", "rule", "kept", "paper_zstd_bytes", "small_bytes", "ratio", "fast_bytes", "core_bytes")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="left" if column in ("corpus", "rule") else "right")
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
