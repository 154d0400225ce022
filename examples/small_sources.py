"""Small stand-ins for your own data, which docs/own-data.md uses: run it in an empty folder.

It writes a folder of images `photos` with a table `labels.csv` and class names `classes.txt`; a parquet file as of
Hugging Face, `flowers.parquet`; and an archive as of MedMNIST, `bloodmnist.npz`. Needs Pillow and pyarrow: the extras
`images` and `arrow`.
"""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

random = np.random.default_rng(0)


def png(side: int = 16) -> bytes:
    """An image of random pixels."""
    stream = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


for i in range(6):
    path = Path("photos", "dogs" if i % 2 else "cats", f"img_{i}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png())
Path("labels.csv").write_text("filename,label\ndogs/img_3.png,happy\ncats/img_0.png,sleepy\nimg_4,happy\n")
Path("classes.txt").write_text("happy\nsleepy\n")

rows = [{"image": {"bytes": png(), "path": f"{i:04}.png"}, "label": i % 2} for i in range(6)]
label = {"_type": "ClassLabel", "names": ["daisy", "tulip"]}
info = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})
pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata({"huggingface": info}), "flowers.parquet")

splits = {
    f"{split}_{what}": values
    for split, count in (("train", 6), ("val", 2), ("test", 2))
    for what, values in (
        ("images", random.integers(0, 256, (count, 28, 28, 3), np.uint8)),
        ("labels", random.integers(0, 8, (count, 1), np.uint8)),
    )
}
np.savez("bloodmnist.npz", **splits)  # type: ignore[arg-type]  # its last parameter is a bool
print(*sorted(path.name for path in Path().iterdir()))
