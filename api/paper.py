"""HTML pages that can be sent around: one file, no scripts, nothing from elsewhere."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

_STYLE = Path(__file__).with_name("paper.css")


def page(title: str, parts: Sequence[str]) -> str:
    """Write a whole page of parts that are HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE.read_text('utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def section(title: str, body: str, note: str) -> str:
    """Write a part with its heading, and a sentence about it."""
    said = f"<p>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(title)}</h2>{said}{body}</section>"


def table(heads: Sequence[str], rows: Sequence[str]) -> str:
    """Write a table of rows that are HTML already."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def cells(texts: Sequence[str]) -> str:
    """Write the cells of a row."""
    return "".join(f"<td>{escape(one)}</td>" for one in texts)
