"""The end of a command that found everything made. Snakemake has no hook for that: `onsuccess` comes only
after jobs.
"""

import atexit
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def when_nothing_was_to_be_done(workflow: Any, say: Callable[[], None]) -> None:
    """Have `say` called when this process ends, if Snakemake's `workflow` was asked to make something and
    found it made. Not in a dry run, in a job's own process, nor where nothing is to be made (--lint,
    --report, --unlock, --summary).
    """
    if workflow.is_main_process and not workflow.output_settings.dryrun:
        atexit.register(_end, workflow, Path.cwd(), say)


def _end(workflow: Any, folder: Path, say: Callable[[], None]) -> None:
    """folder: where paths begin. Snakemake has left its --directory by now."""
    if found_all_made(workflow):
        with contextlib.suppress(OSError), contextlib.chdir(folder):
            say()


def found_all_made(workflow: Any) -> bool:
    """Whether a command has looked for jobs and found none."""
    # Snakemake gives a workflow its scheduler when it has all jobs and is about to start them.
    looked = workflow.scheduler is not None and not workflow.dryrun
    return looked and not len(workflow.dag) and not workflow.execution_settings.no_hooks
