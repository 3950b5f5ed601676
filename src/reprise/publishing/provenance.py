"""Where a figure comes from: its runs, its settings and the software, as one JSON-ready mapping."""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy

import reprise
from reprise.reports.run import digest

META = ("torch", "device")
"""What is told of each run, from the `meta` of its run.json."""


def provenance(
    spec: Mapping[str, Any],
    *,
    slug: str,
    scale: str,
    notes: Sequence[str],
    runs: Sequence[str],
    meta: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Mapping with `report`, `figure`, `kind`, `scale`, `notes`, `spec`, `spec_hash`, `runs` (hash → torch,
    device) and `versions`.
    """
    return {
        "report": slug,
        "figure": spec["id"],
        "kind": spec["kind"],
        "caption": spec["caption"],
        "scale": scale,
        "notes": list(notes),
        "spec": dict(spec),
        "spec_hash": digest(spec),
        "runs": {
            run: {key: meta[run][key] for key in META if key in meta.get(run, {})} for run in sorted(runs)
        },
        "versions": {
            "reprise": reprise.__version__,
            "python": platform.python_version(),
            "matplotlib": matplotlib.__version__,
            "numpy": numpy.__version__,
        },
    }
