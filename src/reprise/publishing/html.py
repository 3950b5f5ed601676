"""Tables and statements as single pages of HTML, which Snakemake's report shows as they are.

Without a template engine: each is made by a process of its own, which would spend a tenth of its time on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from reprise.publishing.verdicts import VERDICTS

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem; color: #1b1f24; background: #fff; }
div { overflow-x: auto; } table { border-collapse: collapse; margin: .6rem 0; }
caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid #d0d7de; padding: .25rem .7rem; text-align: left; vertical-align: top; }
.reproduced { color: #00694d; } .differs { color: #9a5300; } .undecided { color: #3c5a78; }
.contradicted { color: #a33a00; } .not { color: #565b62; }
"""
HEADS = ("Statement", "Where", "Reported", "Measured", "Seeds", "Verdict", "Why")


def page(record: Mapping[str, Any]) -> str:
    """The page of a table's record (`tables.record`): `caption`, `said`, `parts` and `notes`."""
    title = escape(record["caption"])
    lines = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>',
        f"<style>{STYLE}</style></head>",
        f"<body>\n<h1>{title}</h1>",
        *(f"<p><strong>{escape(sentence)}</strong></p>" for sentence in record["said"]),
    ]
    for part in record["parts"]:
        heads = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in part["columns"])
        caption = f"<caption>{escape(part['title'])}</caption>" if part["title"] else ""
        lines += [f"<div><table>{caption}<thead><tr>{heads}</tr></thead><tbody>"]
        best = [tuple(place) for place in part.get("best", ())]
        for row, texts in enumerate(part["rows"]):
            cells = [_cell(text, (row, column) in best) for column, text in enumerate(texts)]
            lines.append(f"<tr>{''.join(cells)}</tr>")
        lines += ["</tbody></table></div>"]
    lines += [f"<p>{escape(sentence)}</p>" for sentence in record["notes"]]
    return "\n".join([*lines, "</body></html>\n"])


def _cell(text: str, best: bool) -> str:
    if text in VERDICTS:
        return f'<td class="{text}">{text}</td>'
    return f"<td><strong>{escape(text)}</strong></td>" if best else f"<td>{escape(text)}</td>"


def statements_page(document: Mapping[str, Any]) -> str:
    """The page of a report's statements, from their document (`statement_records`)."""
    parts = []
    for kind, title in (("number", "Numbers"), ("claim", "Claims")):
        chosen = [entry for entry in document["statements"] if entry["kind"] == kind]
        if chosen:
            parts.append({"title": title, "columns": HEADS, "rows": list(map(_row, chosen))})
    title = f"{document['report']}: numbers and claims"
    said = [f"Evidence: {document['evidence']['words']}", *document["notes"]]
    return page({"caption": title, "said": said, "parts": parts, "notes": []})


def _row(entry: Mapping[str, Any]) -> list[str]:
    spread = f" ± {entry['spread']}" if entry["spread"] and entry["kind"] == "number" else ""
    reported = ("about " if entry["about"] else "") + (entry["reported"] or entry["words"])
    measured = entry["measured"] + spread
    text = entry["text"] or entry["id"]
    return [text, entry["source"], reported, measured, str(entry["n"]), entry["verdict"], entry["reason"]]
