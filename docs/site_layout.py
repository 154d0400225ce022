"""Hook of mkdocs.yml: gives the site the layout of the repository.

Pages outside docs/ (README.md, spec/, CONTRIBUTING.md) are pages of the site too, at their own paths, and the pages of
docs/ keep that folder's name. A relative link then leads to the same file on GitHub, in an editor and on the site, and
`mkdocs build --strict` checks all of them.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
#: Pages, and files that pages link to. Binary test vectors stay out.
SITE_FILES = (
    "*.md", "LICENSE", "CITATION.cff", "Makefile", "constraints.txt", "pyproject.toml",
    "bench/*.md", "bench/results/*", "docs/**/*", "examples/*", "fuzz/**/*.md", "plada_codec/links/links.toml",
    "spec/**/*.json", "spec/**/*.ksy", "spec/**/*.md", "spec/**/*.py", "tests/README.md",
)  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of docs/ by those of `SITE_FILES`, named by their paths in the repository."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    paths = {path for pattern in SITE_FILES for path in ROOT.glob(pattern) if path.is_file()}
    for path in sorted(paths):
        if "__pycache__" not in path.parts and path.name != Path(__file__).name:
            relative = path.relative_to(ROOT).as_posix()
            files.append(File(relative, str(ROOT), config.site_dir, config.use_directory_urls))
    return files
