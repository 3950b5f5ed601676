"""Targets of Snakemake's command line. Snakemake knows them when it has read the rules; what they are matters
while it reads them.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path


def named_targets(argv: Sequence[str]) -> list[str]:
    """The targets that the command line `argv` names; none where it is not Snakemake's."""
    if "snakemake" not in Path(argv[0]).parts[-2:]:
        return []
    from snakemake.cli import get_argument_parser

    with contextlib.suppress(SystemExit):  # Snakemake has read it before: it is a good one
        return [str(Path(target)) for target in get_argument_parser().parse_args(argv[1:]).targets or ()]
    return []
