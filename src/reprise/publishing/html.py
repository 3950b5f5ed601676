"""Tables and statements as single pages of HTML, which Snakemake's report shows as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem; color: #1b1f24; background: #fff; }
div { overflow-x: auto; } table { border-collapse: collapse; margin: .6rem 0; }
caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid #d0d7de; padding: .25rem .7rem; text-align: left; vertical-align: top; }
.reproduced { color: #00694d; } .differs { color: #9a5300; } .undecided { color: #3c5a78; }
.contradicted { color: #a33a00; } .not { color: #6a6f76; }
</style></head><body>
<h1>{{ title }}</h1>
{% for sentence in said %}<p><strong>{{ sentence }}</strong></p>
{% endfor %}
{% for part in parts %}<div><table>
{% if part.title %}<caption>{{ part.title }}</caption>{% endif %}
<thead><tr>{% for cell in part.columns %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead><tbody>
{% for row in part.rows %}<tr>{% for cell in row %}<td{% if cell in verdicts %} class="{{ cell }}"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}
{% for sentence in notes %}<p>{{ sentence }}</p>
{% endfor %}</body></html>
"""  # noqa: E501
HEADS = ("Statement", "Where", "Reported", "Measured", "Seeds", "Verdict", "Why")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_PAGE)


def page(record: Mapping[str, Any]) -> str:
    """The page of a table's record (`tables.record`): `caption`, `said`, `parts` and `notes`."""
    from reprise.publishing.verdicts import VERDICTS

    shown = {key: record[key] for key in ("said", "parts", "notes")}
    return _template().render(title=record["caption"], verdicts=VERDICTS, **shown)


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
