#!/usr/bin/env python3
"""Checks that what the documents name is there: files, headings in Markdown files, and tests, which
are written `path::name`."""

import re
import sys
from pathlib import Path

# Directories that are not the project's own.
MADE = {"target", "node_modules", ".git"}
ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`((?:src|tests)/[\w./-]+\.rs)::(\w+)`")
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """A heading's anchor, as the hosts of repositories make it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def headings(text: str) -> set[str]:
    return {anchor(heading) for heading in HEADING.findall(FENCED.sub("", text))}


def wrong(document: Path) -> list[str]:
    text = document.read_text()
    problems = []
    for link in LINK.findall(FENCED.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, part = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists():
            problems.append(f"{link}: there is no such file")
        elif part and target.suffix == ".md" and part not in headings(target.read_text()):
            problems.append(f"{link}: there is no such heading")
    for name, test in TEST.findall(FENCED.sub("", text)):
        code = ROOT / name
        if not code.exists():
            problems.append(f"{name}: there is no such file")
        elif not re.search(rf"\bfn {test}\b", code.read_text()):
            problems.append(f"{name}: there is no such test: {test}")
    return problems


def main() -> int:
    failed = False
    for document in sorted(ROOT.rglob("*.md")):
        name = document.relative_to(ROOT)
        if MADE.isdisjoint(name.parts):
            for problem in wrong(document):
                failed = True
                print(f"{name}: {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
