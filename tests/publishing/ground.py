"""Made-up measurements of a few configurations, on plain numbers, judged by the rule: no folders, no report
file.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from reprise.errors import RepriseError
from reprise.publishing.expressions import Expressions, Value
from reprise.publishing.judging import Found, Judge, Missing
from reprise.publishing.measures import Measure, Tables
from reprise.publishing.verdicts import Judgement, judge_claim, judge_number
from reprise.reports.expressions import Names

EPOCHS = 20
NAMES = Names(cells={"winner": {"runs": "search", "pick": "best"}})


@dataclass(frozen=True)
class Cell:
    """A configuration whose runs are `<name>-0`, `<name>-1`, …"""

    name: str
    runs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    included: bool = False

    def module(self, layer: str) -> str:
        return layer

    @property
    def members(self) -> Sequence[Any]:
        training = SimpleNamespace(epochs=EPOCHS)
        return [SimpleNamespace(settings=SimpleNamespace(training=training)) for _ in self.runs]


def settings(name: str) -> dict[str, str]:
    """Of `grid/lr=1,decay=2`: lr and decay."""
    return dict(re.findall(r"(\w+)=([^,]+)", name))


class Ground:
    """Values of metrics by configuration, one per seed: `{"base": [0.50, 0.51]}` of an accuracy, or by metric
    `{"loss": {"base": [1.0, 1.1]}}`. A value of None was not measured.

    histories: of validation accuracies at the selected epoch, by configuration. `named`: expressions whose
    configurations say what scatter is typical, beside those that are judged.
    """

    def __init__(self, values, *, validation=None, predictions=None, named: Sequence[str] = ()) -> None:
        by_metric = values if isinstance(next(iter(values.values())), Mapping) else {"accuracy": values}
        final, history = [], []
        self.cells: dict[str, Cell] = {}
        for metric, of_cells in by_metric.items():
            for name, seeds in of_cells.items():
                runs = tuple(f"{name}-{seed}" for seed in range(len(seeds)))
                self.cells[name] = Cell(name, runs, settings(name))
                known = [(run, value) for run, value in zip(runs, seeds, strict=True) if value is not None]
                column = "selected_epoch" if metric == "best_epoch" else metric
                facts = {"test_images": 1.0, "selected_epoch": 1.0}
                final += [(run, *one) for run, value in known for one in (facts | {column: value}).items()]
        for name, seeds in (validation or {}).items():
            history += [
                (f"{name}-{seed}", 1, split, 1.0, value)
                for seed, value in enumerate(seeds)
                for split in ("train", "validation")
            ]
        self.tables = Tables.of(
            final=_columns(("run", "metric", "value"), final),
            history=_columns(("run", "epoch", "split", "loss", "accuracy"), history),
            predictions=predictions,
        )
        self.named = [measure for text in named for measure in expressions().value(text, "").measures]

    def resolve(self, selector: str) -> list[Cell]:
        found = [cell for name, cell in self.cells.items() if f"{name}/".startswith(f"{selector}/")]
        if not found:
            raise RepriseError(f"selector '{selector}': no experiment {selector}")
        return found

    def judge(self, measures: Sequence[Measure] = ()) -> Judge:
        return Judge([*measures, *self.named], self.resolve, self.tables)

    def found(self, text: str) -> Found | Missing:
        relation = expressions().relation(text, "here")
        return self.judge(relation.measures).relation(relation)

    def claim(self, text: str, claimed: float = math.nan) -> Judgement:
        return judge_claim(self.found(text), lambda relation: claimed)

    def number(self, reported: str, text: str, *, about: float = 0.0, of: int = 1) -> Judgement:
        value = expressions().value(text, "here")
        judge = self.judge(value.measures)
        drawn = judge.amount(value, of=of)
        return judge_number(reported, judge.amount(value), drawn, about, ends=judge.ends(value))

    def interval(self, text: str, of: int = 1) -> tuple[float, float]:
        """The middle 95 % of what would be reported."""
        value: Value = expressions().value(text, "here")
        draws = self.judge(value.measures).amount(value, of=of).total[0]
        low, high = np.quantile(draws, (0.025, 0.975), method="nearest")
        return float(low), float(high)


def expressions() -> Expressions:
    return _EXPRESSIONS


_EXPRESSIONS = Expressions(NAMES)


def _columns(names, rows):
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return dict(zip(names, map(list, columns), strict=True))
