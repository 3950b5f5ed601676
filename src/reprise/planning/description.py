"""Estimates in words, as tables of a terminal."""

from collections import Counter
from collections.abc import Sequence

from reprise.planning.agenda import Agenda
from reprise.planning.estimates import Plan, PlanRow, TimeComparison
from reprise.planning.experience import Experience
from reprise.planning.priority import AgendaStep
from reprise.planning.spending import Spent
from reprise.planning.storage import Disk
from reprise.progress import duration
from reprise.publishing.verdicts import VERDICTS, counted
from reprise.reports.report import Report


def describe(plans: Sequence[Plan], machine: str, load: str = "") -> str:
    """A table for each report, and the sum of all; then what the times rest on, the `load` among that."""
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
    corrected = describe_experience(plans[0].experience) if plans else ""
    if rests_on := [line for line in (load, corrected) if line]:
        parts.append("\n".join(rests_on))
    return "\n\n".join(parts)


def describe_experience(known: Experience) -> str:
    """How the times are corrected; nothing where no run is finished here."""
    if not known.runs:
        return ""
    least, most = (f"{value:.2f}" for value in (min(known.factors.values()), max(known.factors.values())))
    between = "" if least == most else f" ({least} to {most} times, depending on the network)"
    took = "the finished run here" if known.runs == 1 else f"the last {known.runs} finished runs here"
    return f"times are corrected: {took} took {known.factor:.2f} times as long as measured{between}"


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


def describe_loads(load: str) -> str:
    """What other work has to do with a comparison of times; `load` as in `describe`."""
    said = (
        "both times include other work: `estimated` what ran while the paces were measured, `took` what ran "
        "beside the runs"
    )
    return "\n".join(["", said, *filter(None, [load])])


SURE = 0.975
"""A statement that is settled with this probability is taken to be settled."""
MOST_LINES, MOST_NAMES = 4, 8
"""Of a step: configurations that are listed one by one, and statements that are named."""


def describe_steps(agenda: Agenda, steps: Sequence[AgendaStep], seconds: float) -> str:
    """What fits in so many seconds, step by step, the first thing that does not, and what is left out."""
    lines: list[str] = []
    sure, open_, total, runs = set[str](), set[str](), 0.0, 0
    for number, step in enumerate(steps, 1):
        if total + step.seconds > seconds:
            begun = "would start now and continue next time" if total < seconds else "comes next"
            lines += [f"beyond {duration(seconds)} ({begun}):", *_step_lines(agenda, number, step, total)]
            break
        lines += _step_lines(agenda, number, step, total)
        total += step.seconds
        runs += len(step.runs)
        sure |= {name for name, share in step.statements.items() if share >= SURE}
        open_ |= step.statements.keys()
    if not runs:
        return "\n".join(lines) or "no run that could be trained here settles a statement"
    fitting = f"{_count(runs, 'run')} in {duration(total)} settle {_count(len(sure), 'statement')}"
    if open_ > sure:
        fitting += f", and perhaps {len(open_ - sure)} more"
    return "\n".join([*lines, "", fitting])


def _step_lines(agenda: Agenda, number: int, step: AgendaStep, before: float) -> list[str]:
    """A step: its time, the time so far, its runs; the statements that it is expected to settle, and those
    that it may settle.
    """
    took, so_far = duration(step.seconds), duration(before + step.seconds)
    indent = " " * 24
    first, *others = named_runs(agenda, step.runs)
    sure = [name for name, share in step.statements.items() if share >= SURE]
    open_ = {name: share for name, share in step.statements.items() if share < SURE}
    lines = [f"{number:3}. {took:>8} {so_far:>8}  {first}", *(indent + other for other in others)]
    if sure:
        lines.append(f"{indent}  settles {_named(sure)}")
    for share in sorted(set(open_.values()), reverse=True):
        what = _named([name for name in open_ if open_[name] == share])
        lines.append(f"{indent}  may settle ({share:.0%}) {what}")
    return lines


def describe_step(agenda: Agenda, step: AgendaStep) -> list[str]:
    """What is done now, and what for."""
    named = "; ".join(named_runs(agenda, step.runs))
    return [f"now {named}: {duration(step.seconds)}, for {_named([*step.statements])}"]


def named_runs(agenda: Agenda, runs: Sequence[str]) -> list[str]:
    """Runs as a reader knows them: by configuration, with their seeds; of a study, and of many configurations
    of one experiment, their number alone.
    """
    seeds: dict[str, dict[str, list[int]]] = {}
    for run in runs:
        cell, report = agenda.cell_of(run), agenda.report_of(run)
        of_experiment = seeds.setdefault(f"{report.slug}/{cell.experiment}", {})
        of_experiment.setdefault(f"{report.slug}/{cell.name}", []).append(
            agenda.runs[run].settings.seeds.init
        )
    found = []
    studies = {
        f"{agenda.report_of(run).slug}/{agenda.cell_of(run).experiment}"
        for run in runs
        if agenda.runs[run].settings.study
    }
    for experiment, cells in seeds.items():
        if experiment in studies:
            found.append(f"{experiment}: {_count(len(cells), 'trial')}")
        elif len(cells) <= MOST_LINES:
            found += [f"{name}, {_seeds(each)}" for name, each in cells.items()]
        else:
            every = {seed for each in cells.values() for seed in each}
            found.append(f"{experiment}: {len(cells)} configurations, {_seeds([*every])}")
    return found


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, sorted(seeds)))}"


def _named(statements: Sequence[str]) -> str:
    """Statements by report, `report: one, two; other: three`; of many their number alone."""
    groups: dict[str, list[str]] = {}
    for name in statements:
        slug, _, identifier = name.partition(": ")
        groups.setdefault(slug, []).append(identifier)
    if len(statements) > MOST_NAMES:
        return ", ".join(f"{len(found)} of {slug}" for slug, found in groups.items())
    return "; ".join(f"{slug}: {', '.join(found)}" for slug, found in groups.items())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def describe_left(agenda: Agenda, seconds: float) -> str:
    """The statements that are not settled so, and why: what stands in the way of their runs, too few seeds in
    the report file, or an epoch that is longer than the budget.
    """
    stuck: dict[str, list[str]] = {}
    exhausted: list[str] = []
    for one in agenda.standings:
        if one.exhausted:
            exhausted.append(f"{one.name} ({one.why})")
        elif not one.settled and one.aim is None:
            stuck.setdefault(one.why, []).append(one.name)
    if names := agenda.too_long(seconds):
        stuck[f"one epoch takes longer than {duration(seconds)}"] = names
    if last := [one.name for one in agenda.standings if one.aim and not one.aim.hopeful]:
        stuck["come last, because all seeds of the report file together are not expected to settle them"] = (
            last
        )
    if exhausted:
        stuck["undecided with all seeds of the report file"] = exhausted
    lines = [f"{_count(len(names), 'statement')} ({_named(names)}): {why}" for why, names in stuck.items()]
    return "\n".join(["left out:", *(f"  {line}" for line in lines)]) if lines else ""


def describe_spent(agenda: Agenda, spent: Spent, publishing: str) -> str:
    """What was done in the time, and the statements that are settled by it; then the command by which figures
    and verdicts are written, `publishing`.
    """
    done = f"trained {_count(len(spent.trained), 'run')}, evaluated {len(spent.evaluated)}"
    for run, epoch in spent.stopped.items():
        of = agenda.runs[run].settings.training.epochs
        name = f"run {run} ({agenda.name(run)})"
        if run in spent.trained:
            done += f"; {name} is trained, and is evaluated next time"
        elif epoch:
            done += f"; {name} stopped at epoch {epoch} of {of}, goes on next time"
        else:
            done += f"; {name} stopped in its first epoch, which takes longer than planned"
    settled = [one for one in agenda.standings if one.settled and not agenda.first[one.name].settled]
    counts = Counter(one.judgement.verdict for one in settled)
    verdicts = ", ".join(counted(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict])
    done += f"; settled by this: {_count(len(settled), 'statement')}" + (f" ({verdicts})" if settled else "")
    lines = [done, *(f"  {one.name}: {one.judgement.verdict}" for one in settled)]
    return "\n".join(
        [*lines, *([f"write figures and verdicts with: {publishing}"] if spent.evaluated else [])]
    )


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
