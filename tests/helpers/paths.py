"""Paths of files and folders that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "spec"
#: The vectors of payloads, of frames and of images, each with an index.json.
PAYLOAD_VECTORS = SPEC / "vectors" / "payload"
FRAME_VECTORS = SPEC / "vectors" / "frames"
IMAGE_VECTORS = SPEC / "vectors" / "images"
#: Real images and weights, which the project does not contain: tests that need them are skipped without.
SHARED = ROOT.parent / "shared"
