"""A Markdown file of sections that several programs write: each replaces its own and leaves the others alone."""

from __future__ import annotations

import re
from pathlib import Path

_HEAD = """# Benchmarks

Written by `make bench` and its relatives; each section is replaced by the next run of its own. Ratios are our cost over the
other's, within one round: below 1 we are better.
"""


def replace_section(path: Path, title: str, body: str) -> None:
    """Put ``body`` under the heading ``## title``; the file and the section are made where they are missing."""
    text = path.read_text() if path.exists() else _HEAD
    section = f"## {title}\n\n{body.strip()}\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        text = f"{text.rstrip()}\n\n{section}"
    else:
        after = text[found.end() :]
        text = text[: found.start()] + section + (f"\n{after}" if after else "")
    path.write_text(text)
