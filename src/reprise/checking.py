"""What is wrong with a report file beyond its schema: everything that would otherwise show after hours of
training, in seconds.

No file is read but the report's: networks are built without memory for their weights, and results are
pretended.
"""

import contextlib
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from reprise.data.augment import prepared_shape
from reprise.data.catalog import class_names, dataset_facts, labels_of, weights_facts
from reprise.errors import RepriseError, nearest
from reprise.models import layer_parameters
from reprise.models.meta import network
from reprise.publishing.pretended import check_publications, layer_measures, naming, warnings
from reprise.reports.figures import Diagram, Images, Samples
from reprise.reports.paths import layer_places
from reprise.reports.report import Report, Undrawn
from reprise.reports.run import Run
from reprise.reports.settings import PreprocessSettings
from reprise.schema import plain
from reprise.training.feed import training_augmentation
from reprise.training.optim import build_optimizer, build_schedule
from reprise.training.regularization import build_penalty


def check_report(report: Report) -> list[str]:
    """Check every run of the report at its scale, then its figures, tables and statements.

    Classes, network, initial weights, optimiser, schedule, preprocessing and augmentation of a run must exist
    and fit together. A mistake is a `RepriseError` that names the file, and the experiment, figure, table or
    statement. What is no mistake but probably not meant is returned, a line each: at scale `full`, statements
    that no result could refute or confirm.
    """
    cells = [cell for name in report.experiments for cell in report.all_cells(name)]
    runs = report.runs(cells)
    classes: dict[str, Sequence[str]] = {}
    for cell in cells:
        with naming(report, f"experiments: {cell.name}", "experiments", cell.experiment):
            run = cell.members[0]  # the others differ in their seeds alone
            classes |= dict.fromkeys(cell.runs, class_names(run))
            check_run(run)
            if run.parent:
                check_initial_weights(run, runs[run.parent])
    for index, figure in enumerate(report.figures):
        with naming(report, f"figure {figure.id}", "figures", index):
            if isinstance(figure, Samples):
                check_images(figure.images)
            if isinstance(figure, Diagram):
                ((_, run),) = report.networks([figure.network]).values()
                modules = [name for name, _ in network(run).named_modules() if name]
                check_layers(
                    [*figure.mark, *figure.names],
                    modules,
                    layer_places(plain(report.file.models[figure.network])),
                )
    for where, measures in layer_measures(report).items():
        for measure in measures:
            with contextlib.suppress(Undrawn):
                for cell in report.cells(measure.runs):
                    try:
                        parameters = layer_parameters(network(cell.members[0]))
                        check_layers([cell.module(str(measure.layer))], parameters, cell.layers)
                    except RepriseError as error:
                        raise RepriseError(f"{where}: {error}") from None
    check_publications(report, classes)
    return warnings(report, classes) if report.scale == "full" else []


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


def check_initial_weights(run: Run, parent: Run) -> None:
    """Whether the parent's weights fit the run's network, but for those that `drop` names."""
    ours, theirs = (
        {name: tuple(value.shape) for name, value in network(each).state_dict().items()}
        for each in (run, parent)
    )
    names = list(dict.fromkeys([*ours, *theirs]))
    weights = run.settings.initial_weights
    dropped = tuple(weights.drop) if weights else ()
    for prefix in dropped:
        if not any(name.startswith(prefix) for name in names):
            layers = dict.fromkeys(name.rpartition(".")[0] for name in names)
            raise RepriseError(
                f"initial_weights.drop: no parameter starts with {prefix!r}{nearest(prefix, layers)}"
            )
    for name in names:
        here, there = (shapes.get(name, "absent") for shapes in (ours, theirs))
        if here != there and not name.startswith(dropped):
            raise RepriseError(
                f"initial_weights: {name} is {there} in the run it starts from and {here} here; name it in "
                "drop"
            )


def check_layers(named: Iterable[str], layers: Iterable[str], names: Iterable[str]) -> None:
    """Whether a network has the layers that a figure marks or a statement counts; `names` are offered too."""
    known = list(layers)
    for name in named:
        if name not in known:
            raise RepriseError(f"the network has no layer {name}{nearest(name, [*names, *known])}")


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
    for transform in selection.transforms or ():
        steps = [plain(step) for step in transform.augmentation or ()]
        prepared_shape(facts.name, transform.preprocess or PreprocessSettings(), steps)
