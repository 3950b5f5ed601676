"""Diagram of a network, drawn from its layer table (`reprise.models.layers`), so that it shows what is
trained.

Short chains of layers are boxes in one or two lines: a stack of maps for images, a bar for flat features.
Deep networks, and those that branch, are a list from top to bottom. Normalisation, activation and dropout are
part of the layer before them. Sizes are drawn on logarithmic scales. Options: `network`, `mark` (places of
layers that are set off), `names` (place of a layer → what the report calls it).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from reprise.errors import RepriseError, nearest
from reprise.publishing.figures.page import Drawn, Page
from reprise.publishing.sources import Sources
from reprise.publishing.style import COLORS, LEADING, MARGIN, SMALL, text_width, wrap
from reprise.reports.figures import Diagram

FOLDED = frozenset(
    {"activation", "batch_norm", "layernorm", "groupnorm", "dropout", "dropout2d", "stochasticdepth"}
)
"""Kinds of layers that are part of the one before them, whose output has the same shape."""
BRANCHING = frozenset({"add", "attention", "parameter"})
"""Kinds of layers of networks that are no chains."""
LINES = 2
"""Lines of boxes at most; more layers are a list."""
LINE = SMALL * LEADING / 72
"""Inches from one line of text to the next."""
PAD = 0.1
"""Inches between texts of neighbouring columns."""
PICTURE = 0.95
"""Inches that the tallest box of a line is high."""
DEEPEST = 0.4
"""Inches that the box with most channels is deep at most."""
SLANT = 0.3
"""Inches to the side, and up, for an inch of a map's width, which is drawn aslant."""
INCH = PICTURE / (1 + SLANT)
"""Inches that the largest map is high."""
ARROW = 0.16
"""Inches between neighbouring boxes, at least."""
BAR = 0.1
"""Inches that a bar of flat features is wide, and that every bar of a list is high."""
PROFILE = 0.3
"""Share of a list's width that its bars take."""
SMALLEST = 0.12
"""Size of a single pixel, channel or unit as a share of the largest in the network."""
GREY = "#555555"
FACES = {False: ("#d7e8f4", "#a9cbe4", COLORS["blue"]), True: ("#fbdcb0", "#f0b95f", COLORS["vermillion"])}
"""Colours of a box, marked or not: front and top, side, edge."""


@dataclass(frozen=True)
class Block:
    """A layer and what is folded into it. `steps`: its operations in words, in order. `shape`: of its output.
    `names`: places. `called`: by the report, if it names the layer.
    """

    steps: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    names: tuple[str, ...]
    marked: bool
    called: str = ""

    @property
    def titled(self) -> list[str]:
        """The name, if any, and the operations."""
        return [*([self.called] if self.called else []), *self.steps]

    @property
    def spoken(self) -> str:
        """The same on one line: `C1: conv 5×5, 6, valid, tanh`."""
        return ": ".join(filter(None, [self.called, ", ".join(self.steps)]))

    @property
    def size(self) -> str:
        return "×".join(f"{length:,}" for length in self.shape)

    @property
    def count(self) -> str:
        return f"{self.parameters:,}" if self.names else ""

    @property
    def weight(self) -> str:
        return "bold" if self.marked else "normal"

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """Channels or units, height and width of a map; 0 for what the shape does not have. A sequence is as
        high as it is long.
        """
        match self.shape:
            case (units,):
                return units, 0, 0
            case (length, features):
                return features, length, 0
            case (*_, channels, height, width):
                return channels, height, width
        raise RepriseError(
            f"{self.steps[0]}: its output has no shape that can be drawn; make the layer table again"
        )


def draw(spec: Diagram, sources: Sources, page: Page) -> Drawn:
    """Draw the network as lines of boxes, or as a list where it is deep or branches."""
    network = spec.network
    if network not in sources.layers:
        raise RepriseError(
            f"no layer table of network {network}{nearest(network, sources.layers) or '; make it first'}"
        )
    table = sources.layers[network]
    blocks = _blocks(table, network, spec.mark, spec.names)
    remarks = [f"{table['parameters']:,} parameters in all", "sizes on logarithmic scales"]
    lines = None if _branches(table) else _arrange(page, blocks)
    if lines:
        _draw_lines(page, lines, remarks)
    else:
        _draw_list(
            page, blocks, [*remarks, *(["branches are listed one after another"] if _branches(table) else [])]
        )
    values = [*map(_values, blocks), {"layer": "all", "parameters": table["parameters"]}]
    return Drawn(_describe(table, blocks), values=values)


def _blocks(
    table: Mapping[str, Any], network: str, marks: Sequence[str], called: Mapping[str, str]
) -> list[Block]:
    """The blocks in the order of the rows, after the input where the table says its shape."""
    names = [row["name"] for row in table["rows"] if "name" in row]
    for key, places in (("mark", marks), ("names", called)):
        for place in places:
            if place not in names:
                hint = nearest(place, names) or "; make its layer table again"
                raise RepriseError(f"{key}: {network} has no layer {place}{hint}")
    blocks = [Block(("input",), tuple(table["image_shape"]), 0, (), False)] if "image_shape" in table else []
    first = len(blocks)
    if not table["rows"]:
        raise RepriseError(f"network {network} has no layers; make its layer table again")
    for row in table["rows"]:
        shape, name = tuple(row["output_shape"]), row.get("name", "")
        steps = tuple(dict.fromkeys(step for step in (row["layer"], row["activation"]) if step))
        if row["kind"] in FOLDED and len(blocks) > first and blocks[-1].shape == shape:
            last = blocks.pop()
            steps, parameters = (*last.steps, *steps), last.parameters + row["parameters"]
            known = last.called or called.get(name, "")
            marked = last.marked or name in marks
            blocks.append(Block(steps, shape, parameters, (*last.names, name), marked, known))
        else:
            known = called.get(name, "")
            blocks.append(Block(steps, shape, row["parameters"], (name,), name in marks, known))
    return blocks


def _branches(table: Mapping[str, Any]) -> bool:
    """Whether the network is no chain. Its table does not say what branches off where; sums, attention and
    free parameters tell.
    """
    return any(row["kind"] in BRANCHING for row in table["rows"])


def _share(size: int, most: int) -> float:
    """Length of a box or bar for `size` as a share of that for `most`, on a logarithmic scale."""
    return SMALLEST + (1 - SMALLEST) * (math.log(size) / math.log(most) if most > 1 else 1) if size else 0.0


def _canvas(page: Page, height: float) -> Axes:
    """Axes over the whole page, `height` inches high, in inches from its left lower corner."""
    page.set_height(height)
    width, total = page.figure.get_size_inches()
    height = total - page.strip.height
    axes = page.figure.add_axes(
        (0, 0, 1, height / total), xlim=(0, width), ylim=(0, height), xticks=[], yticks=[]
    )
    axes.set_axis_off()
    return axes


def _write(axes: Axes, words: str, x: float, y: float, **look: Any) -> None:
    axes.text(
        x, y, words, **{"size": SMALL, "ha": "center", "va": "baseline", "linespacing": LEADING, **look}
    )


# ---- lines of boxes ----


@dataclass(frozen=True)
class Arrangement:
    """Blocks in lines, in cells `cell` inches wide from `left` on; `words`: the operations of each, broken to
    fit.
    """

    blocks: list[list[Block]]
    words: list[list[str]]
    left: float
    cell: float


HEADS = ("output", "parameters")


def _arrange(page: Page, blocks: Sequence[Block]) -> Arrangement | None:
    """As few lines of equal length as have room for every word; None where these are more than `LINES`."""
    left = MARGIN + max(text_width(head, SMALL) for head in HEADS) + PAD
    texts = [
        (word, block.weight)
        for block in blocks
        for text in (*block.titled, block.size, block.count)
        for word in text.split()
    ]
    widest = max(*(text_width(word, SMALL, weight) for word, weight in texts), SLANT * INCH + ARROW) + PAD
    room = page.width - left - MARGIN
    fit = int(room / widest)
    if not fit or len(blocks) > fit * LINES:
        return None
    in_line = -(-len(blocks) // -(-len(blocks) // fit))
    lines = [list(blocks[start : start + in_line]) for start in range(0, len(blocks), in_line)]
    cell = room / in_line
    words = [
        [
            "\n".join(wrap(step, cell - PAD / 2, SMALL, block.weight) for step in block.titled)
            for block in line
        ]
        for line in lines
    ]
    return Arrangement(lines, words, left, cell)


def _draw_lines(page: Page, lines: Arrangement, remarks: Sequence[str]) -> None:
    """In each cell the operations, the box, its shape and its parameters; arrows from box to box."""
    above = [max(text.count("\n") + 1 for text in words) * LINE for words in lines.words]
    below = 2 * PAD + len(HEADS) * LINE
    remark = wrap("; ".join(remarks), page.width - 2 * MARGIN, SMALL)
    foot = MARGIN + (remark.count("\n") + 1) * LINE
    axes = _canvas(page, sum(above) + len(above) * (2 * PAD + PICTURE + below) + foot + MARGIN)
    every = [block for line in lines.blocks for block in line]
    top = axes.get_ylim()[1] - MARGIN
    for number, (line, words) in enumerate(zip(lines.blocks, lines.words, strict=True)):
        middle = top - above[number] - PAD - PICTURE / 2
        bottom = middle - PICTURE / 2 - PAD - LINE
        edge = lines.left - ARROW  # of the box before
        for place, (block, text) in enumerate(zip(line, words, strict=True)):
            centre = lines.left + (place + 0.5) * lines.cell
            width = _box(axes, block, every, centre, middle, lines.cell - ARROW)
            if number or place:
                _arrow(axes, edge, centre - width / 2, middle)
            edge = centre + width / 2
            _write(axes, text, centre, middle + PICTURE / 2 + PAD, weight=block.weight)
            _write(axes, block.size, centre, bottom, weight=block.weight)
            _write(axes, block.count, centre, bottom - LINE, weight=block.weight)
        if line is not lines.blocks[-1]:
            _arrow(axes, edge, lines.left + len(line) * lines.cell, middle)
        for place, head in enumerate(HEADS):
            _write(axes, head, MARGIN, bottom - place * LINE, ha="left", color=GREY)
        top -= above[number] + 2 * PAD + PICTURE + below
    _write(axes, remark, page.width - MARGIN, MARGIN, ha="right", va="bottom")


def _box(axes: Axes, block: Block, every: Sequence[Block], x: float, y: float, room: float) -> float:
    """A stack of maps or a bar of flat features around (x, y), all in inches. Returns its width."""
    depth, height, width = block.dimensions
    front, side, edge = FACES[block.marked]
    if not height:
        high = PICTURE * _share(depth, max(other.dimensions[0] for other in every if not other.dimensions[1]))
        _polygon(axes, x - BAR / 2, y - high / 2, (BAR, 0), (0, high), side, edge)
        return BAR
    stacks = [other.dimensions for other in every if other.dimensions[1]]
    longest = max(max(stack[1:]) for stack in stacks)
    high, aslant = INCH * _share(height, longest), SLANT * INCH * _share(width, longest)
    deep = min(DEEPEST, room - SLANT * INCH) * _share(depth, max(stack[0] for stack in stacks))
    left, bottom = x - (deep + aslant) / 2, y - (high + aslant) / 2
    _polygon(axes, left, bottom, (deep, 0), (0, high), front, edge)
    if aslant:
        _polygon(axes, left, bottom + high, (deep, 0), (aslant, aslant), front, edge)
        _polygon(axes, left + deep, bottom, (aslant, aslant), (0, high), side, edge)
    return deep + aslant


def _polygon(
    axes: Axes, x: float, y: float, one: tuple[float, float], other: tuple[float, float], face: str, edge: str
) -> None:
    """A parallelogram from (x, y) along the sides `one` and `other`."""
    corners = [(0.0, 0.0), one, (one[0] + other[0], one[1] + other[1]), other]
    points = [(x + right, y + up) for right, up in corners]
    axes.add_patch(
        Polygon(points, facecolor=face, edgecolor=edge, linewidth=0.7, joinstyle="round", zorder=2)
    )


def _arrow(axes: Axes, start: float, stop: float, y: float) -> None:
    look = {
        "arrowstyle": "-|>,head_width=0.12,head_length=0.25",
        "color": GREY,
        "linewidth": 0.7,
        "shrinkA": 1,
        "shrinkB": 1,
    }
    axes.annotate("", (stop, y), (start, y), arrowprops=look, zorder=1)


# ---- list ----


def _draw_list(page: Page, blocks: Sequence[Block], remarks: Sequence[str]) -> None:
    """A line of text for each block, with the size of its maps as a bar to the left and its channels or units
    as one to the right.
    """
    right = page.width - MARGIN
    counts = max(text_width(text, SMALL, "bold") for text in [HEADS[1], *(block.count for block in blocks)])
    sizes = max(text_width(text, SMALL, "bold") for text in [HEADS[0], *(block.size for block in blocks)])
    output = right - counts - PAD
    half = (PROFILE * page.width - PAD) / 2
    axis = output - sizes - PAD - half
    room = axis - half - PAD - MARGIN
    texts = [
        wrap(": ".join(filter(None, [block.called, "; ".join(block.steps)])), room, SMALL, block.weight)
        for block in blocks
    ]
    heights = [(text.count("\n") + 1) * LINE + PAD / 2 for text in texts]
    bars = [(wrap("map", half, SMALL), "right", -1), (wrap("channels or units", half, SMALL), "left", 1)]
    head = max(text.count("\n") + 1 for text, _, _ in bars) * LINE + PAD / 2
    remark = wrap("; ".join(remarks), page.width - 2 * MARGIN, SMALL)
    foot = MARGIN + (remark.count("\n") + 1) * LINE
    axes = _canvas(page, head + sum(heights) + foot + 2 * MARGIN)
    top = axes.get_ylim()[1] - MARGIN
    for words, x, ha in (("layer", MARGIN, "left"), (HEADS[0], output, "right"), (HEADS[1], right, "right")):
        _write(axes, words, x, top - head + PAD / 2, ha=ha, color=GREY)
    for words, ha, towards in bars:
        _write(axes, words, axis + towards * PAD / 4, top - head + PAD / 2, ha=ha, color=GREY)
    top -= head
    axes.plot([MARGIN, right], [top, top], color=GREY, linewidth=0.6)
    axes.plot([axis, axis], [top, top - sum(heights)], color=GREY, linewidth=0.6)
    most = max(block.dimensions[0] for block in blocks)
    longest = max(max(block.dimensions[1:]) for block in blocks)
    for block, text, height in zip(blocks, texts, heights, strict=True):
        middle = top - height / 2
        front, side, edge = FACES[block.marked]
        depth, *lengths = block.dimensions
        for length, face in ((-_share(max(lengths), longest), front), (_share(depth, most), side)):
            if length:
                _polygon(axes, axis, middle - BAR / 2, (half * length, 0), (0, BAR), face, edge)
        _write(axes, text, MARGIN, middle, ha="left", va="center_baseline", weight=block.weight)
        _write(axes, block.size, output, middle, ha="right", va="center_baseline", weight=block.weight)
        _write(axes, block.count, right, middle, ha="right", va="center_baseline", weight=block.weight)
        top -= height
    axes.plot([MARGIN, right], [top, top], color=GREY, linewidth=0.6)
    _write(axes, remark, right, MARGIN, ha="right", va="bottom")


# ---- words ----


def _values(block: Block) -> dict[str, Any]:
    return {
        "layer": ", ".join(block.steps),
        "names": [name for name in block.names if name],
        "called": block.called or None,
        "output_shape": list(block.shape),
        "parameters": block.parameters,
        "marked": block.marked,
    }


def _describe(table: Mapping[str, Any], blocks: Sequence[Block]) -> str:
    """The layers in words, in order."""
    said = [
        f"{block.spoken}{' (marked)' if block.marked else ''}: {block.size}"
        + (f", {block.count} parameters" if block.parameters else "")
        for block in blocks
    ]
    head = f"Diagram of {table['title']}, " if "title" in table else "Diagram of a network, "
    how = "its branches one after another" if _branches(table) else "from input to output"
    return f"{head}{how}. {'; '.join(said)}. {table['parameters']:,} parameters in all."
