"""Where a figure comes from: its runs, its settings and the software, as one JSON-ready mapping."""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy

import reprise
from reprise.publishing import Face
from reprise.reports.figures import Figure
from reprise.reports.run import digest
from reprise.schema import plain

META = ("torch", "device")
"""What is told of each run, from the `meta` of its run.json."""


def provenance(
    spec: Figure, face: Face, runs: Sequence[str], meta: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Mapping with `report`, `figure`, `kind`, `scale`, `notes`, `spec`, `spec_hash`, `runs` (hash → torch,
    device) and `versions`.
    """
    said = plain(spec)
    return {
        "report": face.slug,
        "figure": spec.id,
        "kind": spec.kind,
        "caption": spec.caption,
        "scale": face.scale,
        "notes": list(face.notes),
        "spec": said,
        "spec_hash": digest(said),
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
