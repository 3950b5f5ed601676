"""The page about reliability shows the table that `make faults` prints."""

from collections import Counter
from pathlib import Path

import pytest
from counting import KINDS, table

PAGE = Path(__file__).parents[2] / "docs/reliability.md"


def test_the_page_counts_as_the_command_does(request):
    items = Counter(
        item.path.name for item in request.session.items if item.path.parent == Path(__file__).parent
    )
    if (
        request.config.option.keyword
        or any("::" in name for name in request.config.args)
        or not items.keys() >= KINDS.keys()
    ):
        pytest.skip("only a part of the folder is run")
    assert "\n".join(table(items, Counter())) in PAGE.read_text()
