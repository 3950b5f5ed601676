"""What is wrong with a report file beyond its schema: everything that would otherwise show after hours of
training, in seconds.

No file is read but the report's: networks are built without memory for their weights, and results are
pretended.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import nn

from reprise.data.augment import prepared_shape
from reprise.data.catalog import class_names, dataset_facts, labels_of, weights_facts
from reprise.errors import RepriseError, nearest
from reprise.extensions import METRICS
from reprise.models import layer_parameters
from reprise.models.meta import network
from reprise.publishing.expressions import Order, Value, Within, every_part
from reprise.publishing.measures import PATHS, Measure
from reprise.publishing.numbers import bound_of
from reprise.publishing.pretended import (
    check_expressions,
    check_publications,
    layer_measures,
    naming,
    warnings,
)
from reprise.publishing.statements import CheckedStatement
from reprise.reports.figures import Curves, Diagram, Figure, Images, Samples, Trials
from reprise.reports.layout import DEMO_IMAGES
from reprise.reports.paths import is_place, layer_places, no_layer
from reprise.reports.report import Cell, Report, Undrawn
from reprise.reports.run import Run
from reprise.reports.settings import PreprocessSettings
from reprise.reports.tables import ClassTable
from reprise.schema import plain
from reprise.training.feed import training_augmentation
from reprise.training.optim import build_optimizer, build_schedule
from reprise.training.regularization import build_penalty


def check_report(report: Report) -> list[str]:
    """Check every run of the report at its scale, then its figures, tables and statements.

    Classes, network, initial weights, optimiser, schedule, preprocessing and augmentation of a run must exist
    and fit together. Mistakes, with those that a tolerant report has noted, are a `RepriseError` that names
    the file and line, and the experiment, figure, table or statement of each. What is no mistake but probably
    not meant is returned, a line each: at scale `full`, statements that no result could refute or confirm.
    """
    classes: dict[str, Sequence[str]] = {}
    with report.mistakes.noting():
        if report.settled:
            classes = _check_runs(report)
        _check_figures(report)
        _check_untrained(report)
        statements = check_expressions(report)
        _check_layers(report)
        _check_units(report, statements)
        if report.settled:
            check_publications(report, classes)
    report.mistakes.raise_all()
    return warnings(report, classes) if report.scale == "full" else []


def _check_units(report: Report, statements: Sequence[CheckedStatement]) -> None:
    """Check whether numbers are in the units of what they are compared with."""
    specs = {each.id: each for each in report.statements}
    for statement in statements:
        for said in check_units(statement):
            report.mistakes.add(report.statement_mistake(specs[statement.id], said))
    for index, table in enumerate(report.tables):
        for said in check_percent(table) if isinstance(table, ClassTable) else ():
            report.mistakes.add(report.mistake(["tables", index], said))


def _check_runs(report: Report) -> dict[str, Sequence[str]]:
    """Check each run; run → the names of its labels: where they are wrong, all that its data set has.

    What cannot be trained (wrong labels, a network that does not fit the images) is in `report.unbuilt`. What
    is said of its results can be checked all the same.
    """
    cells = [cell for name in report.experiments for cell in report.all_cells(name)]
    runs = report.runs(cells)
    classes: dict[str, Sequence[str]] = {}
    for cell in cells:
        run = cell.members[0]  # the others differ in their seeds alone
        known = dataset_facts(run.settings.dataset.name).classes.values()
        classes |= dict.fromkeys(cell.runs, tuple(itertools.chain.from_iterable(known)))
        report.unbuilt.update(cell.runs)
        with report.mistakes.noting(), naming(report, cell):
            classes |= dict.fromkeys(cell.runs, class_names(run))
            check_run(run)
            if run.parent in runs and run.parent not in report.unbuilt and report.certain_networks:
                check_initial_weights(cell, runs[run.parent])
            report.unbuilt.difference_update(cell.runs)
    return classes


def _check_figures(report: Report) -> None:
    """Check what figures say of images, lines and layers."""
    for index, figure in enumerate(report.figures):
        try:
            with naming(report, ["figures", index]):
                if isinstance(figure, Samples):
                    check_images(figure.images)
                if isinstance(figure, Curves | Trials):
                    check_lines(figure)
                check_limits(figure)
                if isinstance(figure, Curves) and ("figures", figure.id) not in report.unsound:
                    check_seams(report, figure)
                    check_epochs(report, figure)
                known = report.settled and report.certain_networks
                if isinstance(figure, Diagram) and figure.network in report.file.models and known:
                    check_marked(report, figure)
        except RepriseError as error:
            report.mistakes.add(error)
            report.unsound.add(("figures", figure.id))


def _check_untrained(report: Report) -> None:
    """Build the networks that no experiment trains, each on images of some experiment that it fits."""
    if report.scale != "full" or not (report.settled and report.certain_networks):
        return
    for name, runs in report.untrained_networks().items():
        wrong: list[str] = []
        for run in (run for trained, run in runs.items() if trained not in report.unbuilt):
            try:
                if run.pretrained:
                    weights_facts(run.pretrained)
                network(run)
            except RepriseError as error:
                wrong.append(str(error))
            else:
                wrong.clear()
                break
        if wrong:
            report.mistakes.add(report.model_mistake(name, wrong[0]))


def _check_layers(report: Report) -> None:
    """Whether networks have the layers that measures name."""
    for section, name, parts, whose, expression, measure in layer_measures(report):
        if not (report.settled and report.certain_networks):
            report.unsound.add((section, name))
            continue
        try:
            with contextlib.suppress(Undrawn):
                for cell in report.cells(measure.runs):
                    if report.unbuilt.isdisjoint(cell.runs):
                        check_layer(cell, str(measure.layer))
                    else:
                        cell.module(str(measure.layer))
        except RepriseError as error:
            report.mistakes.add(report.mistake(parts, str(error), whose, expression))
            report.unsound.add((section, name))


def check_run(run: Run) -> None:
    """Make all that the run needs before its first epoch, but for images and weights."""
    settings = run.settings
    if run.pretrained:
        weights_facts(run.pretrained)
    check_validation(run)
    trained = [nn.Parameter(torch.empty(1)) for item in network(run).parameters() if item.requires_grad]
    optimizer = build_optimizer(settings.optimizer, trained)
    build_schedule(settings.schedule, optimizer, settings.training.epochs)
    training_augmentation(settings)
    build_penalty(settings.regularization, network(run))


def check_validation(run: Run) -> None:
    """Whether the run's data set has the validation part that it asks for."""
    facts = dataset_facts(run.settings.dataset.name)
    if run.settings.split.validation == "official" and "validation" not in facts.splits:
        raise RepriseError(
            f"split.validation: official: {facts.name} has no validation part of its own; use a fraction or "
            "test"
        )
    dataset, share = run.settings.dataset, run.settings.split.validation
    if isinstance(share, float) and dataset.source != "stand-in":
        kept, known = len(class_names(run)), len(facts.classes[dataset.labels])
        all_images = DEMO_IMAGES["train"] if dataset.source == "synthetic" else facts.splits["train"].images
        images = all_images * kept // known
        images = min(images, dataset.per_class * kept) if dataset.per_class else images
        if not 0 < round(images * share) < images:
            part = "validation" if share < 0.5 else "training"
            what = f"split.validation: {share:g} of {images:,} images leaves none for the {part} part"
            raise RepriseError(f"{what}; write a share such as 0.1")


def check_initial_weights(cell: Cell, parent: Run) -> None:
    """Whether the parent's weights fit the network of a cell, but for those that `drop` names."""
    run = cell.members[0]
    ours, theirs = (
        {name: tuple(value.shape) for name, value in network(each).state_dict().items()}
        for each in (run, parent)
    )
    names = list(dict.fromkeys([*ours, *theirs]))
    layers = {module: name for name, module in reversed([*cell.layers.items()])}

    def called(parameter: str) -> str:
        """The layer of a parameter."""
        module = parameter.rpartition(".")[0]
        return layers.get(module, module)

    weights = run.settings.initial_weights
    dropped = tuple(weights.drop) if weights else ()
    for prefix in dropped:
        if not any(name.startswith(prefix) for name in names):
            valid = dict.fromkeys(called(name) for name in names)
            raise RepriseError(
                f"initial_weights.drop: no parameter starts with {prefix!r}{nearest(prefix, valid)}"
            )
    kept = [name for name in names if not name.startswith(dropped)]
    differing = [name for name in kept if ours.get(name) != theirs.get(name)]
    if differing:
        first = differing[0]
        here, there = (shapes.get(first, "absent") for shapes in (ours, theirs))
        drop = ", ".join(dict.fromkeys([*(called(f"{name}.") for name in dropped), *map(called, differing)]))
        what = f"{first} is {there} in the run it starts from and {here} here"
        raise RepriseError(f"initial_weights: {what}; write drop: [{drop}]")


def check_layer(cell: Cell, layer: str) -> None:
    """Whether the network of a cell has a layer with parameters that a measure names."""
    module = cell.module(layer)
    known = layer_parameters(network(cell.members[0]))
    names = {inner: name for name, inner in cell.layers.items()}
    if module not in known and module not in names:
        raise RepriseError(no_layer(layer, cell.layers, known))
    if module not in known:
        with_some = ", ".join(names.get(inner, inner) for inner in known)
        raise RepriseError(f"layer {layer} has no parameters; those that have some: {with_some}")


def check_marked(report: Report, figure: Diagram) -> None:
    """Whether the network of a diagram has the layers that it marks or names."""
    ((_, run),) = report.networks([figure.network]).values()
    report.cell_of(run.hash)  # else its experiment has a mistake
    if run.hash in report.unbuilt:
        return
    modules = [name for name, _ in network(run).named_modules() if name]
    places = layer_places(plain(report.file.models[figure.network]))
    for name in [*figure.mark, *figure.names]:
        if name not in modules or (is_place(name) and places and name not in places.values()):
            raise RepriseError(no_layer(name, places, modules))


def check_lines(figure: Curves | Trials) -> None:
    """Whether the reference lines of accuracies are shares, as the axis is, or said to be percent."""
    for line in figure.reference:
        value = float(line.value or 0)
        if "accuracy" not in (figure.metric, line.panel):
            continue
        if not line.percent and abs(value) > 1:
            what = f"reference: {value:g} is no share, and the axis goes from 0 to 1"
            raise RepriseError(f"{what}; write {value / 100:g}, or add percent: true")
        if line.percent and 0 < abs(value) < 1:
            what = f"reference: {value:g} is a share, and percent: true makes it {value / 100:g}"
            raise RepriseError(f"{what}; write {value * 100:g}, or leave percent out")


def check_limits(figure: Figure) -> None:
    """Whether the axis of a metric that is a share ends where shares do."""
    limits, metrics = getattr(figure, "y_limits", None), getattr(figure, "metric", None)
    if not limits or not metrics:
        return
    names = metrics if isinstance(metrics, list) else [metrics]
    if any(name not in METRICS for name in names):
        return
    low, high = limits
    least = min(METRICS[name].low for name in names)
    if high <= least:
        what = f"y_limits: {names[0]} is {least:g} at least, and the axis ends at {high:g}"
        raise RepriseError(f"{what}; write limits above that")
    if any(METRICS[name].high > 1 for name in names):
        return
    if low >= 1 or high > MOST_OF_AXIS:
        shares = f"; write [{low / 100:g}, {high / 100:g}]" if high <= 100 else "; write [0, 1]"
        raise RepriseError(f"y_limits: {names[0]} is a share, at most 1, not {low:g} to {high:g}{shares}")


MOST_OF_AXIS = 2
"""Where the axis of a share may end, with room above it."""


def check_seams(report: Report, figure: Curves) -> None:
    """Whether the runs of a series that goes on after others start from the weights of those."""
    for index, series in enumerate(figure.series):
        if series.after is None:
            continue
        with contextlib.suppress(Undrawn):
            before = {run for cell in report.cells(series.after) for run in cell.runs}
            for cell in report.cells(series.runs):
                if any(run.parent not in before for run in cell.members):
                    what = f"{cell.name} does not start from weights of {series.after}"
                    raise RepriseError(
                        f"series[{index}].after: {what}; set its initial_weights, or leave after out"
                    )


def check_epochs(report: Report, figure: Curves) -> None:
    """Whether there is something to see between the first and the last epoch of a figure's axis."""
    if figure.x_limits is None or report.scale != "full":
        return
    last = 0
    for series in figure.series:
        longest = []
        for name in filter(None, (series.after, series.runs)):
            try:
                runs = [run for cell in report.cells(name) for run in cell.members]
            except Undrawn:
                return
            longest.append(max(run.settings.training.epochs for run in runs))
        last = max(last, sum(longest))
    low, high = figure.x_limits
    if low >= last or high <= 0:
        what = f"x_limits: {low:g} to {high:g}, and the runs have epochs 1 to {last}"
        raise RepriseError(f"{what}; write limits among those")


SHARES_OF_RIGHT = (
    *("accuracy", "precision_macro", "recall_macro", "f1_macro", "train_accuracy", "plain_train_accuracy"),
)
"""Metrics that nobody reports as less than 1 %."""


def check_units(statement: CheckedStatement) -> Iterator[str]:
    """What a statement compares in different units: a share with percent."""
    for one in (statement, *statement.also):
        if one.reported:
            value = float(bound_of(one.reported)[1])
            yield from _units(one.value, value, f"{one.reported!r} is reported", one.about)
        for relation in every_part(one.relation) if one.relation else ():
            if isinstance(relation, Order | Within):
                difference = relation.left.plus(relation.right, -1.0)
                margin = relation.margin if isinstance(relation, Within) else 0.0
                sided = [side.constant for side in relation.values if not side.terms]
                said = f"{sided[0]:g} stands in {relation.text!r}" if sided else f"in {relation.text!r}"
                yield from _units(
                    replace(difference, constant=0.0), -difference.constant, said, margin, bool(sided)
                )


def check_percent(table: ClassTable) -> Iterator[str]:
    """What a table of classes reports as shares, where it measures percent."""
    for label, values in table.reported.items() if isinstance(table.reported, dict) else ():
        printed = [value for name, value in values.items() if name != "deviation"]
        numbers = [float(bound_of(value)[1]) for value in printed]
        alone = len(numbers) == 1 and numbers[0] < 1 and len(printed[0].partition(".")[2]) > 1
        if (len(numbers) > 1 or alone) and 0 < max(numbers) <= 1:
            first = printed[0]
            what = f"{first!r} is a share, and class accuracies here are percent"
            yield f"reported: {label}: {what}; write {float(bound_of(first)[1]) * 100:g}"


def _units(value: Value, number: float, said: str, slack: float, alone: bool = True) -> Iterator[str]:
    """What is wrong with a number beside a value that is a share, or percent of it."""
    low = high = value.constant
    for term, factor in value.terms.items():
        metric = METRICS[term.metric] if isinstance(term, Measure) else None
        if isinstance(term, Measure) and term.at in PATHS:
            return
        ends = (0.0, 1.0) if metric is None else (metric.low, metric.high)
        if not ends[1] <= 1:
            return
        low, high = low + min(end * factor for end in ends), high + max(end * factor for end in ends)
    if not value.terms:
        return
    ((first, by), *others) = value.terms.items()
    right = isinstance(first, Measure) and first.metric in SHARES_OF_RIGHT
    if not low - slack <= number <= high + slack:
        hint = "; compare values of one unit"
        if high <= 2 and low <= number / 100 <= high:
            hint = f"; write {number / 100:g}, or multiply what is measured by 100"
        elif high > 2 and low <= number * 100 <= high:
            hint = f"; write {number * 100:g}, or do not multiply by 100"
        yield f"{said}, and what is measured lies between {low:g} and {high:g}{hint}"
    elif alone and right and not others and abs(by) == 100 and 0 < abs(number) <= 1:
        yield (
            f"{said}, a share, and what is measured is percent; write {number * 100:g}, or do not multiply "
            "by 100"
        )


def check_images(selection: Images) -> None:
    """Whether the data set, the kinds of label and the classes that a figure of sample images names exist."""
    facts = dataset_facts(selection.dataset)
    for kind in filter(None, (*selection.captions, selection.by)):
        labels_of(facts, kind, "images")
    for kind, name in selection.where.items():
        known = labels_of(facts, kind, "images.where")
        if name not in known:
            raise RepriseError(
                f"images.where.{kind}: {facts.name} has no class {name!r}{nearest(name, known)}"
            )
    if selection.split not in facts.splits:
        raise RepriseError(
            f"images.split: {facts.name} has no split "
            f"{selection.split!r}{nearest(selection.split, facts.splits)}"
        )
    if selection.classes:
        if selection.by is None:
            raise RepriseError("images.classes: of which kind of label? name it in images.by")
        known = labels_of(facts, selection.by, "images.by")
        for name in selection.classes:
            if name not in known:
                raise RepriseError(
                    f"images.classes: {facts.name} has no class {name!r}{nearest(name, known)}"
                )
    for index, transform in enumerate(selection.transforms or ()):
        steps = [plain(step) for step in transform.augmentation or ()]
        try:
            prepared_shape(facts.name, transform.preprocess or PreprocessSettings(), steps)
        except RepriseError as error:
            raise RepriseError(f"images.transforms[{index}].{error}") from None
