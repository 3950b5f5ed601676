"""What a report file's figures say: each a kind, which runs it draws, and how.

A new kind is a class here, a line in `OWN_FIGURES`, and its module in `reprise.publishing.figures`; in a
package of your own it is the same class, named by an entry point (docs/extending.md).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from reprise.extensions import FIGURES
from reprise.hints import of_validation
from reprise.reports.settings import PreprocessSettings, Split, Step
from reprise.reports.values import Identifier, Increasing, Selector, Text, Unique, whole
from reprise.schema import Kinds, Strict, form, titled

AxisOf = Annotated[str, Field(min_length=1)]
"""An axis of the experiment."""
At = Literal["best", "last", "selected"]
"""Where a history is read."""


def _metric(name: str) -> str:
    """Refuse a metric of the validation images by another framework's name."""
    if of := of_validation(name):
        said = f"no metric {name}; write metric: {of}, and split: validation beside it"
        raise PydanticCustomError("unknown", "{said}", {"said": said})
    return name


Metric = Annotated[Text, AfterValidator(_metric)]
"""As in statements; docs/statements.md lists the metrics."""
Limits = Annotated[
    list[Annotated[float, Field(ge=-1e12, le=1e12)]], Field(min_length=2, max_length=2), Increasing
]
Color = Text
"""blue, orange, green, vermillion, purple, brown, pink, grey, yellow or sky of the colour-blind palette, or
#rrggbb.
"""


class Labelled(Strict):
    """Something drawn or tabulated: cells, and what readers call them."""

    runs: Selector
    """The cells that are drawn."""
    label: Text | None = None
    """For readers (default: the cell's name)."""


def _drawn(value: Any) -> Any:
    """`{label: cells}`, or a list in which cells may stand alone, as a list of mappings."""
    if isinstance(value, str):
        return [{"runs": value}]
    if isinstance(value, dict):
        return [{"label": str(label), "runs": runs} for label, runs in value.items()]
    if isinstance(value, list):
        return [{"runs": entry} if isinstance(entry, str) else entry for entry in value]
    return value


# ---- what several kinds have ----


class Compared(Strict):
    """What is compared: a label and one cell, or several of which the best run is picked."""

    label: Text
    """What readers call it."""
    runs: Selector
    """One cell, or several with `pick`."""
    pick: Literal["best"] | None = None
    """Of all runs of these configurations, the one with the best validation accuracy."""


Models = Annotated[
    list[Compared],
    Field(min_length=1),
    BeforeValidator(_drawn, json_schema_input_type=dict[str, Selector] | list[Compared]),
]


_PRINTED = r"^-?[0-9]*\.?[0-9]+$"
_NUMBERS = r"^(?:[a-z]+ )*[^\w.]*[0-9]*[.,]?[0-9]+(?:[^\w]|$)"
"""What a text that is meant for a number begins with."""


class Reference(Strict):
    """A number of the report as a line: that of a statement, or a value written here."""

    statement: Identifier | None = None
    """A number among the statements, whose reported value is drawn."""
    value: (
        float | Annotated[str, Field(max_length=40, pattern=form(_PRINTED, "a number such as 0.65"))] | None
    ) = None
    """In quotes it keeps the digits that the report prints."""
    label: Text | None = None
    """In the legend (default: report)."""
    series: Text | None = None
    """Label of the series that the number is of: the line has its colour."""
    color: Color | None = None
    """Of the line: a colour by name, or #rrggbb."""
    panel: Text | None = None
    """Title of the panel, or its metric, that the line belongs to (default: every panel; needed with several
    metrics).
    """
    percent: bool = False
    """The number is in percent, as the axis is not."""


def _references(value: Any) -> Any:
    """Each line as a mapping; a text that is no number, nor is meant for one, is a statement's."""
    if value is None:
        raise PydanticCustomError("reference", "should be a number, or the id of a statement")

    def line(entry: Any) -> Any:
        if isinstance(entry, str) and not re.match(_PRINTED, entry) and not re.search(_NUMBERS, entry):
            return {"statement": entry}
        return {"value": entry} if isinstance(entry, str | float | int) else entry

    return [line(entry) for entry in (value if isinstance(value, list) else [value])]


References = Annotated[
    list[Reference],
    BeforeValidator(
        _references, json_schema_input_type=str | float | Reference | list[str | float | Reference]
    ),
]


class Figure(Strict):
    """What all kinds of figure have."""

    drawer: ClassVar[str]
    """The function that draws it, as `module:function`."""
    id: Identifier
    """The figure's name, by which its files are called."""
    kind: str
    """The kind of figure."""
    caption: Text
    """What the figure shows; its alt text starts with it."""
    width: Literal["column", "wide"] = "column"
    """One column (3.5 in) or the page (7 in)."""


class MeasuredFigure(Figure):
    """A figure of one metric, measured in every run of its cells."""

    runs: Selector
    """The cells of the experiment that are drawn."""
    metric: Metric
    """What is measured in each run: one of the metrics."""
    split: Split | None = None
    """With loss, accuracy or gap: the part of the data, read from the history (default: test)."""
    at: At | None = None
    """With loss, accuracy or gap: the epoch at which the history is read (default: selected)."""


# ---- kinds ----


class Colors(Strict):
    """A colour for each split."""

    train: Color | None = None
    """Of the line of the training data."""
    validation: Color | None = None
    """Of the line of the validation data."""
    test: Color | None = None
    """Of the line of the test data."""


class SplitLabels(Strict):
    """What readers call the parts of the data."""

    train: Text | None = None
    """Of the training data (default: training)."""
    validation: Text | None = None
    """Of the validation data (default: validation)."""
    test: Text | None = None
    """Of the test data (default: test)."""


class Series(Labelled):
    color: Color | Colors | None = None
    """A colour, or one for each split (default: that of the configuration in the whole report)."""
    after: Selector | None = None
    """Runs whose weights these start from: their curve is drawn first, and the seam is marked."""
    everywhere: bool = False
    """Drawn in grey in every panel, for comparison."""


CurveMetric = Literal["loss", "accuracy", "gap"]


class Curves(Figure):
    model_config = titled("a figure of kind curves")
    drawer: ClassVar[str] = "reprise.publishing.figures.curves:draw"
    kind: Literal["curves"]
    metric: CurveMetric | Annotated[list[CurveMetric], Field(min_length=2), Unique]
    """gap is the training accuracy minus that of the split; a list gives each metric a panel of its own."""
    splits: Annotated[list[Split], Field(min_length=1), Unique]
    """Parts of the data drawn, a line each."""
    split_labels: SplitLabels | None = None
    """What the report calls them, for the legend, titles of panels and the axis."""
    series: Annotated[
        list[Series],
        Field(min_length=1),
        BeforeValidator(
            _drawn, json_schema_input_type=Selector | dict[str, Selector] | list[Selector | Series]
        ),
    ]
    """Curves: cells, `{label: cells}`, or a list; what names several cells is a series each."""
    panels: Text | Annotated[list[Text], Field(min_length=2, max_length=2), Unique] | None = None
    """Panels with common axes: split, reading, or an axis of the experiment; one for each of its values. Of
    two, the first is the rows.
    """
    reference: References = []
    """Numbers of the report as lines."""
    selected: bool = False
    """Mark the epoch whose weights each run keeps."""
    x_limits: Limits | None = None
    """First and last epoch on the axis."""
    y_limits: Limits | None = None
    """Smallest and largest value on the axis."""
    y_label: Text | None = None
    """What stands beside the axis (default: the metric)."""


class Transform(Strict):
    label: Text
    """Above the column."""
    preprocess: PreprocessSettings = PreprocessSettings()
    """As in the settings of a run."""
    augmentation: list[Step] | None = None
    """As in the settings of a run."""


class Images(Strict):
    """Which images are shown."""

    dataset: str
    """The data set's name."""
    split: Split = "train"
    """The part of it that the images are taken from."""
    where: dict[str, str] = {}
    """Kind of label → class that an image must have."""
    by: str | None = None
    """Kind of label: the first images of each of its classes."""
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    """With by: these classes alone, in this order."""
    each: Annotated[int, whole(1, 1000)] = 1
    """Images taken, of each class where `by` is given."""
    captions: Annotated[list[str], Field(min_length=1)]
    """Kinds of label under each image."""
    transforms: Annotated[list[Transform], Field(min_length=1)] | None = None
    """Each image is a row: one picture per transform."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of random transforms."""


class Samples(Figure):
    model_config = titled("a figure of kind samples")
    drawer: ClassVar[str] = "reprise.publishing.figures.samples:draw"
    kind: Literal["samples"]
    images: Images
    """Which images."""
    columns: Annotated[int, whole(1, 1000)] | None = None
    """Images in a row (default: as many as fit)."""
    row_labels: bool = False
    """One caption for each row, left of it."""


class Diagram(Figure):
    model_config = titled("a figure of kind diagram")
    drawer: ClassVar[str] = "reprise.publishing.figures.diagram:draw"
    kind: Literal["diagram"]
    network: str
    """Name of one of this report's models."""
    mark: list[str] = []
    """Layers to set off, by their names or rows in the layer table (9_dense)."""
    names: dict[str, Text] = {}
    """What the report calls layers, which are given by their names or rows."""


class Bars(MeasuredFigure):
    model_config = titled("a figure of kind bars")
    drawer: ClassVar[str] = "reprise.publishing.figures.bars:draw"
    kind: Literal["bars"]
    runs: Selector
    """A pointwise sweep; the base run is the line that the bars are compared with."""
    axes: Annotated[list[AxisOf], Field(min_length=1)] | None = None
    """The axes drawn, in this order (default: all)."""
    noise: Selector | None = None
    """Runs of several seeds that say, with those drawn, how far a seed moves the metric."""
    y_limits: Limits | None = None
    """Smallest and largest value on the axis."""


class ClassAccuracies(Figure):
    model_config = titled("a figure of kind classes")
    drawer: ClassVar[str] = "reprise.publishing.figures.classes:draw"
    kind: Literal["classes"]
    models: Models
    """A panel each."""
    top: Annotated[int, whole(1, 1000)] = 5
    """Classes with the best accuracies."""
    bottom: Annotated[int, whole(1, 1000)] = 5
    """Classes with the worst."""
    mark: list[str] = []
    """Classes that the report names, set off."""


class Boxes(MeasuredFigure):
    model_config = titled("a figure of kind boxes")
    drawer: ClassVar[str] = "reprise.publishing.figures.boxes:draw"
    kind: Literal["boxes"]
    by: AxisOf
    """One box for each value of this axis, over all cells that have it."""
    y_limits: Limits | None = None
    """Smallest and largest value on the axis."""


class Heatmap(MeasuredFigure):
    model_config = titled("a figure of kind heatmap")
    drawer: ClassVar[str] = "reprise.publishing.figures.heatmap:draw"
    kind: Literal["heatmap"]
    rows: AxisOf
    """The axis whose values are the rows."""
    columns: AxisOf
    """The axis whose values are the columns."""


class Levels(MeasuredFigure):
    model_config = titled("a figure of kind levels")
    drawer: ClassVar[str] = "reprise.publishing.figures.levels:draw"
    kind: Literal["levels"]
    axes: Annotated[list[AxisOf], Field(min_length=1)] | None = None
    """A panel each: mean and interquartile range at each of its values (default: all axes)."""
    y_limits: Limits | None = None
    """Smallest and largest value on the axis."""


class Cube(MeasuredFigure):
    model_config = titled("a figure of kind cube")
    drawer: ClassVar[str] = "reprise.publishing.figures.cube:draw"
    kind: Literal["cube"]
    axes: Annotated[list[AxisOf], Field(min_length=3, max_length=3), Unique]
    """x, y and z."""


class Trials(Figure):
    model_config = titled("a figure of kind trials")
    drawer: ClassVar[str] = "reprise.publishing.figures.trials:draw"
    kind: Literal["trials"]
    runs: Selector
    """The trials of a study."""
    metric: Literal["accuracy", "loss"] = "accuracy"
    """What is drawn over the epochs."""
    reference: References = []
    """Numbers of the report as lines."""
    y_limits: Limits | None = None
    """Smallest and largest value on the axis."""


OWN_FIGURES: dict[str, type[Figure]] = {
    "curves": Curves,
    "samples": Samples,
    "diagram": Diagram,
    "bars": Bars,
    "classes": ClassAccuracies,
    "boxes": Boxes,
    "heatmap": Heatmap,
    "levels": Levels,
    "cube": Cube,
    "trials": Trials,
}
"""The project's own; `reprise.extensions.FIGURES` has those of other packages, too."""

AnyFigure = Annotated[Figure, Kinds(lambda: FIGURES, "kind", "kind of figure")]
