"""What is worth doing next: the open statements of reports, their runs and what these cost here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from reprise.data.catalog import class_names
from reprise.planning.calibration import Calibration
from reprise.planning.experience import experience
from reprise.planning.pricing import Price, Prices
from reprise.planning.priority import AgendaStep, order
from reprise.planning.standing import Standing, standings
from reprise.planning.work import expected_share
from reprise.publishing.results import read_tables
from reprise.reports.layout import FINAL, RUN, Layout
from reprise.reports.report import Cell, Report
from reprise.reports.run import Run

Obstacle = Callable[[Run], str]
"""Why a run cannot be trained here, in words, with what to do; empty where it can."""


class Agenda:
    """The open statements of reports, and the steps that settle them, by what is known now.

    obstacle: asked of each run that a statement still needs, and of those that this follows.
    """

    def __init__(
        self, reports: Sequence[Report], where: Layout, calibration: Calibration, obstacle: Obstacle
    ) -> None:
        self.reports, self._where, self._obstacle = reports, where, obstacle
        self.runs: dict[str, Run] = {}
        self._report_of: dict[str, Report] = {}
        self._cells: dict[str, Cell] = {}
        shares: dict[str, float] = {}
        for report in reports:
            for name in report.experiments:
                cells = [cell for cell in report.all_cells(name) if report.active(cell)]
                members = [run for cell in cells for run in cell.members]
                share = expected_share(members) if members else 1.0
                for cell in cells:
                    for run in cell.members:
                        if run.hash not in self.runs:
                            self.runs[run.hash], self._cells[run.hash] = run, cell
                            self._report_of[run.hash], shares[run.hash] = report, share
        self.prices = Prices(where, calibration, shares)
        self.prices.factor = experience(where, calibration).factor
        self._standings: dict[str, list[Standing]] = {}
        self.judge()
        self.first = {one.name: one for one in self.standings}
        """The statements as they stood at the beginning."""

    # ---- statements ----

    @property
    def standings(self) -> list[Standing]:
        return [one for found in self._standings.values() for one in found]

    def judge(self, changed: Iterable[str] | None = None) -> None:
        """Judge again what rests on the runs that have changed; without them everything."""
        changed = None if changed is None else set(changed)
        self.done = {run for run in self.runs if self.is_done(run)}
        for report in self.reports:
            needed = report.runs([cell for item in report.statements for cell in report.needed(item)])
            if changed is None or not changed.isdisjoint(needed):
                names = {run: class_names(needed[run]) for run in needed if run in self.done}
                tables = read_tables(self._where.runs, names, class_names=names)
                self._standings[report.slug] = standings(
                    report, tables, self.done, partial(self._hindered, report)
                )

    def is_done(self, run: str) -> bool:
        """Whether a run is trained and evaluated."""
        return (self._where.runs / run / RUN).is_file() and (self._where.runs / run / FINAL).is_file()

    def _hindered(self, report: Report, cells: Sequence[Cell]) -> str:
        """Why the cells cannot be trained here, or what they follow."""
        for cell in cells:
            if not report.active(cell):
                return f"{cell.experiment} is skipped"
        waiting, seen = [run for cell in cells for run in cell.runs], set[str]()
        while waiting:
            run = waiting.pop()
            if run not in seen and run not in self.done:
                seen.add(run)
                if why := self._obstacle(self.runs[run]):
                    return why
                waiting += self.runs[run].follows
        return ""

    # ---- steps ----

    def steps(self, possible: Callable[[Run, Price], bool] = lambda run, price: True) -> Iterator[AgendaStep]:
        """What to do, the most statements per second first, of the runs that are `possible`."""
        aims = [one.aim for one in self.standings if one.aim]
        wanted = self._with_followed({run for aim in aims for stage in aim.stages for run in stage.runs})
        prices = {run: self.prices.price(self.runs[run]) for run in wanted}
        barred = {run for run, price in prices.items() if not possible(self.runs[run], price)}
        for run in self.runs:  # what follows a barred run is barred
            if run in wanted and not barred.isdisjoint(self._with_followed({run})):
                barred.add(run)
        kept = [
            replace(aim, stages=tuple(stage for stage in aim.stages if barred.isdisjoint(stage.runs)))
            for aim in aims
        ]
        places = Counter[str]()
        place: dict[str, int] = {}
        for run in self.runs:  # of a cell the first seed has place 0
            cell = self._report_of[run].slug + self._cells[run].name
            place[run], places[cell] = places[cell], places[cell] + 1
        begun = {run: price.trained or price.begun > 0 for run, price in prices.items()}
        first = sorted(
            (run for run in self.runs if run in prices), key=lambda run: (not begun[run], place[run])
        )
        seconds = {run: prices[run].seconds for run in first}
        return order(kept, seconds, {run: self.runs[run].follows for run in self.runs})

    def too_long(self, seconds: float) -> list[str]:
        """Statements that need a run of which no epoch is finished in so many seconds."""
        return [
            one.name
            for one in self.standings
            if one.aim
            and any(
                self.prices.price(self.runs[run]).epoch > seconds
                for run in self._with_followed({*one.aim.stages[0].runs})
            )
        ]

    def _with_followed(self, runs: set[str]) -> set[str]:
        """Those of the runs, and of all that they follow, that are not done."""
        found, waiting = set[str](), list(runs)
        while waiting:
            run = waiting.pop()
            if run not in found and run not in self.done:
                found.add(run)
                waiting += self.runs[run].follows
        return found

    def calibrated_steps(self, seconds: float) -> list[AgendaStep]:
        """The steps that fit in so many seconds, and the one after them, none with a guessed pace; runs of
        which no epoch fits stay out.
        """
        self.prices.learn(self.runs.values())
        while True:
            found, total = [], 0.0
            for step in self.steps(lambda run, price: price.epoch <= seconds):
                found.append(step)
                total += step.seconds
                if total > seconds:
                    break
            guessed = self.prices.uncalibrated(self.runs[run] for step in found for run in step.runs)
            if not guessed:
                return found
            self.prices.calibrate(guessed)
            self.prices.learn(self.runs.values())

    # ---- names ----

    def report_of(self, run: str) -> Report:
        """The first report that has the run."""
        return self._report_of[run]

    def cell_of(self, run: str) -> Cell:
        return self._cells[run]

    def name(self, run: str) -> str:
        """What the report calls a run."""
        cell, settings = self._cells[run], self.runs[run].settings
        return f"{self._report_of[run].slug}/{cell.name}, seed {settings.seeds.init}"
