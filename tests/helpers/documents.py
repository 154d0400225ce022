"""The documents of the project: their code blocks, commands, links and headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.paths import ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "spec/**/*.md", "bench/*.md", "examples/*.md", "fuzz/**/*.md", "tests/*.md")
    for path in ROOT.glob(pattern)
)
#: A command that ends with this, and a reason, is not run by the tests: it takes hours, or a machine that they lack.
NEEDS = "# needs: "


@dataclass(frozen=True)
class Command:
    """A command of a console block.

    Attributes:
        text: the command for a shell, its lines joined, without its comment.
        needs: what it needs that the tests lack, or "".
        output: the lines below it.
    """

    text: str
    needs: str
    output: str


def name_of(document: Path) -> str:
    """A document's path in the repository."""
    return document.relative_to(ROOT).as_posix()


def blocks(document: Path, language: str) -> list[str]:
    """The contents of the fenced code blocks of a language."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(document: Path) -> list[Command]:
    """The commands of the console blocks, in their order."""
    found = []
    for block in blocks(document, "console"):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = re.sub(r" *\\\n *", " ", shown).partition("\n")
            text, _, comment = command.partition(" #")
            needs = comment.strip().removeprefix(NEEDS.strip("# ")).strip() if NEEDS in command else ""
            found.append(Command(text.strip(), needs, output))
    return found


def prose(document: Path) -> str:
    """The text outside the fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(document: Path) -> list[tuple[str, str]]:
    """(path, anchor) of each link to a file or a heading of the project; the path is "" for the document itself."""
    text = re.sub(r"(?<!\[)`[^`\n]*`(?!\])", "", prose(document))
    return re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", text)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
