"""Hook of mkdocs.yml: gives the site the layout of the repository, and shows doctests of docstrings as code.

Pages outside docs/ (README.md, spec/, CONTRIBUTING.md) are pages of the site too, at their own paths, and the pages of
docs/ keep that folder's name. A relative link then leads to the same file on GitHub, in an editor and on the site, and
`mkdocs build --strict` checks all of them.
"""

from __future__ import annotations

from pathlib import Path

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
#: Pages, and files that pages link to. Binary test vectors stay out.
SITE_FILES = (
    "*.md", "LICENSE", "CITATION.cff", "Makefile", "constraints.txt", "pyproject.toml",
    "bench/*.md", "bench/results/*", "docs/**/*", "examples/*", "fuzz/**/*.md", "tests/README.md",
    "plada_codec/**/*.py", "plada_codec/**/*.toml", "plada_train/**/*.py",
    "spec/**/*.json", "spec/**/*.ksy", "spec/**/*.md", "spec/**/*.py",
)  # fmt: skip


def on_config(config: MkDocsConfig) -> None:
    """Add the extension below, which has no name that mkdocs.yml could list."""
    config.markdown_extensions.append(_Doctests())


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


class _Doctests(Extension):
    """Put doctests into code blocks: Markdown would take `>>>` for a quotation."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        # Above the priority of fenced code blocks, which is 25.
        md.preprocessors.register(_FenceDoctests(md), "doctests", 40)


class _FenceDoctests(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        """Fence each run of lines from `>>>` to the next blank line, outside of fences."""
        fenced, in_fence, in_doctest = [], False, False
        for line in [*lines, ""]:
            in_fence ^= line.lstrip().startswith("```")
            if line.startswith(">>> ") and not in_fence and not in_doctest:
                in_doctest = True
                fenced += ["", "```python"]
            if in_doctest and not line.strip():
                in_doctest = False
                fenced.append("```")
            fenced.append(line)
        return fenced
