"""A name says one thing."""

import ast
from collections import Counter
from pathlib import Path

SOURCES = sorted((Path(__file__).parents[1] / "src/reprise").rglob("*.py"))


def test_no_two_classes_are_called_the_same():
    found = [
        node.name
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(found) > 200
    assert [name for name, count in Counter(found).items() if count > 1] == []
