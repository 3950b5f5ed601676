"""What was injected and what came out, counted: `make faults` prints the table, docs/reliability.md shows
it.
"""

from collections import Counter

KINDS = {
    "test_corruption.py": "damaged files: cut, changed in a bit, emptied, swapped, foreign",
    "test_kills.py": "SIGKILL at a named moment of a step",
    "test_hostile_files.py": "hostile files and settings",
    "test_mirrors.py": "faults of mirrors",
    "test_fuzz.py": "parsers fed with mutated inputs",
    "test_memory_and_clocks.py": "too little memory, clocks that jump, stopped processes",
}


def table(passed: Counter[str], failed: Counter[str]) -> list[str]:
    """Markdown lines: kind of fault, cases, and those that came out as promised."""
    rows = [(kind, passed[file] + failed[file], passed[file]) for file, kind in KINDS.items()]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [
        "| what was injected | cases | as promised |",
        "|---|---|---|",
        *(f"| {kind} | {cases} | {good} |" for kind, cases, good in rows),
    ]
