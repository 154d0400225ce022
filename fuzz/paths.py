"""Where the fuzzers find and keep inputs."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
#: Inputs that broke a rule, by target: tests replay them.
FOUND = ROOT / "fuzz" / "found"
#: Inputs that reach lines that the seeds do not reach, by target.
CORPUS = ROOT / "fuzz" / "corpus"
