"""Read a selection in one format and write it in others, then compare its sizes with the paper's codings."""

import tempfile
from pathlib import Path

from plada_codec import compare, interop

folder = Path(tempfile.mkdtemp())
csv = folder / "kept.csv"
csv.write_text("index,label\n" + "".join(f"{7 * i},{i // 100}\n" for i in range(1_000)), encoding="ascii")

payload = interop.read(csv, reference_size=10_000, num_classes=10)
for name in ("plada", "npz", "jsonl", "idx-raw", "bmp-raw"):
    target = folder / f"kept.{name}"
    interop.write(payload, target)
    # The last three formats do not hold N and C: the reader must be told.
    assert interop.read(target, reference_size=10_000, num_classes=10) == payload
    print(f"{name}: {target.stat().st_size} bytes")

for row in compare(payload).layouts:
    print(f"the paper's {row.layout}: raw {row.raw_bytes}, zstd-19 {row.zstd_bytes} bytes")
