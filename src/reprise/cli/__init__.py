"""python -m reprise <verb> …: the one door to the library, for the workflow and for anyone without Snakemake.

`app` knows the verbs by name; a verb is a function in one of the other modules, and imports what it needs
when it runs: `runs` and the publishing verbs start without torch.
"""

from reprise.cli.app import main

__all__ = ["main"]
