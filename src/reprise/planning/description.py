"""Estimates in words, as tables of a terminal."""

from collections.abc import Sequence

from reprise.planning.estimates import Plan, PlanRow, TimeComparison
from reprise.planning.storage import Disk
from reprise.progress import duration
from reprise.reports.report import Report


def describe(plans: Sequence[Plan], machine: str) -> str:
    """A table for each report, and the sum of all."""
    head = ("experiment", "runs", "to train", "epochs", "expected", "images", "expected", "time", "expected")
    parts = []
    for each in plans:
        rows = [_cells(row) for row in each.rows]
        total = _sum([*each.rows])
        title = f"{each.report.slug}, scale {each.report.scale}, on {machine}, one job at a time"
        parts.append("\n".join([title, *_aligned([head, *rows, _cells(total)]), _disk(each.disk)]))
    if len(plans) > 1:
        total = _sum([row for each in plans for row in each.rows])
        parts.append("\n".join(["all reports", *_aligned([head, _cells(total)])]))
    return "\n\n".join(parts)


def describe_comparison(report: Report, rows: Sequence[TimeComparison], machine: str) -> str:
    """A table of estimated and true times of the runs that are there."""
    if not rows:
        return f"{report.slug}, scale {report.scale}: no finished run to compare with"
    head = ("experiment", "runs", "of other machines", "epochs", "estimated", "took", "took / estimated")
    cells = [
        (
            row.experiment,
            f"{row.runs}",
            f"{row.elsewhere}",
            f"{row.epochs:,}",
            duration(row.estimated_seconds),
            duration(row.seconds),
            f"{row.seconds / row.estimated_seconds:.2f}" if row.runs else "",
        )
        for row in rows
    ]
    return "\n".join([f"{report.slug}, scale {report.scale}, on {machine}", *_aligned([head, *cells])])


def _sum(rows: Sequence[PlanRow]) -> PlanRow:
    return PlanRow(
        "all",
        **{
            name: sum(getattr(row, name) for row in rows)
            for name in PlanRow.__dataclass_fields__
            if name != "experiment"
        },
    )


def _cells(row: PlanRow) -> tuple[str, ...]:
    epochs = [f"{value:,.0f}" for value in (row.epochs, row.expected_epochs)]
    images = [f"{value / 1e6:,.2f} M" for value in (row.images, row.expected_images)]
    times = [duration(value) for value in (row.seconds, row.expected_seconds)]
    asked = [*epochs, *images, *times] if row.left else [""] * 6
    return (row.experiment, f"{row.runs}", f"{row.left}", *asked)


def _disk(found: Disk) -> str:
    parts = (
        f"data and pretrained weights at most {size(found.data)} ({size(found.there)} are there), "
        f"results {size(found.runs)}"
    )
    return f"disk: {parts}, a checkpoint at most {size(found.checkpoint)} for each job that trains"


def size(count: float) -> str:
    """`830 kB`, `12 MB` or `3.4 GB`."""
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns, the first one flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]
