"""Write the JSON schemas of all files that users may read: `python -m plada_train.schemas docs/schemas`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from plada_codec.files import output_folder
from plada_train import json_files
from plada_train.files import write_bytes
from plada_train.models.config import CheckpointInfo
from plada_train.planning.measurements import MeasurementLine, SearchLine
from plada_train.planning.plan_file import Plan
from plada_train.report.run_report import RunReport
from plada_train.scores.shards import ManifestFile

#: Each schema's name, the title of what it describes, and its type.
SCHEMAS: dict[str, tuple[str, Any]] = {
    "report": ("report.json", RunReport),
    "plan": ("plan.json", Plan),
    "measurements": ("a line of measurements.jsonl", MeasurementLine | SearchLine),
    "scores": ("scores.json", ManifestFile),
    "checkpoint": ("teacher.json and student.json", CheckpointInfo),
}


def schema_text(name: str) -> str:
    """The text of a schema's file."""
    title, kind = SCHEMAS[name]
    return json_files.dumps(json_files.schema(kind, title)) + "\n"


def write_schemas(folder: Path) -> None:
    """Write `<name>.schema.json` for each of `SCHEMAS`. Raises FileError if that fails."""
    output_folder(folder)
    for name in SCHEMAS:
        write_bytes(folder / f"{name}.schema.json", schema_text(name).encode())


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
