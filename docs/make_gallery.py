"""docs/gallery.md and its pictures: `make gallery`.

Each kind of figure and table with what a report file writes (docs/gallery/gallery.yaml), all its options,
and what comes out, from results that are made up here. A test compares the page with what is made now, and
the pictures with what they show.
"""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from make_reference import GALLERY, MADE, ROOT, Keys, item, sentence, shorter, wrapped
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reprise.data.catalog import class_names
from reprise.extensions import METRICS
from reprise.publishing import Face
from reprise.publishing.figures import build_figure
from reprise.publishing.figures.colors import series_colors
from reprise.publishing.measures import Tables
from reprise.publishing.sources import Sources
from reprise.publishing.statements import jury_of
from reprise.publishing.style import style
from reprise.publishing.tables import build_table
from reprise.publishing.tables.formats import markdown
from reprise.reports.figures import Figure, Samples
from reprise.reports.report import Report, network_names
from reprise.reports.run import Run, canonical
from reprise.reports.settings import rung_epochs
from reprise.reports.tables import SpaceTable
from reprise.schema import plain

PAGE = ROOT / "docs/gallery.md"
FOLDER = ROOT / "docs/gallery"
FILE = FOLDER / "gallery.yaml"
DPI = 144
COLOURS = 64
"""Of a picture: few make it small, and figures have few."""
SOURCE, SOFTWARE = "Source", "Software"
"""In a picture: what the report file says of it, and what drew it."""


# ---- made-up results ----


def level(run: Run) -> float:
    """The accuracy that a run ends at, before chance: a smooth function of its settings."""
    settings = run.settings
    rate, batch = settings.optimizer["lr"], settings.training.batch_size
    dropout = next(layer["dropout"] for layer in settings.model["layers"] if "dropout" in layer)
    wide = 0.04 * (settings.model.get("width", 1) > 1) + 0.03 * (settings.initial_weights is not None)
    far = math.log10(rate * 64 / batch / 1.5e-3)
    return 0.66 + wide - 0.06 * far**2 - 0.5 * (dropout - 0.3) ** 2


def curve(run: Run, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Split → accuracy at each epoch."""
    epochs = np.arange(1, run.settings.training.epochs + 1)
    pace = 2 + 8 * max(0.0, -math.log10(run.settings.optimizer["lr"] / 1e-3))
    start, top = (0.6 if run.settings.initial_weights else 0.1), level(run) + generator.normal(0, 0.006)
    rise = start + (top - start) * (1 - np.exp(-epochs / pace))
    noise = generator.normal(0, 0.006, len(epochs))
    return {run.validation_split: rise + noise, "train": np.clip(rise + 0.008 * epochs, 0, 0.98)}


def made_up(report: Report) -> Tables:
    """Results of every run of the report."""
    runs = report.runs([cell for name in report.experiments for cell in report.all_cells(name)])
    rows: dict[str, list[tuple[Any, ...]]] = {"history": [], "final": [], "predictions": []}
    rungs: dict[int, list[float]] = {}
    for place, (identifier, run) in enumerate(runs.items()):
        generator = np.random.default_rng([7, place])
        curves = curve(run, generator)
        seen = curves[run.validation_split]
        epochs = ended(run, seen, rungs)
        rows["history"] += [
            (identifier, epoch + 1, split, 2.4 * (1 - values[epoch]), values[epoch])
            for split, values in curves.items()
            for epoch in range(epochs)
        ]
        best = int(np.argmax(seen[:epochs]))
        labels = np.repeat(np.arange(10), 100)
        easy = 0.12 * np.cos(2.3 * np.arange(10) + run.settings.model.get("width", 1))
        right = generator.random(1000) < np.clip(seen[best] + easy - easy.mean(), 0, 1)[labels]
        predicted = np.where(right, labels, (labels + generator.integers(1, 10, 1000)) % 10)
        accuracy = float(right.mean())
        rows["predictions"] += zip([identifier] * 1000, range(1000), labels, predicted, strict=True)
        values = dict.fromkeys(METRICS, accuracy) | {
            "f1_macro": accuracy - 0.006,
            "selected_epoch": best + 1,
            "test_images": 1000,
        }
        rows["final"] += [(identifier, metric, float(value)) for metric, value in values.items()]
    names = {
        "history": ("run", "epoch", "split", "loss", "accuracy"),
        "final": ("run", "metric", "value"),
        "predictions": ("run", "image", "label", "predicted"),
    }
    columns = {
        table: dict(zip(names[table], map(list, zip(*found, strict=True)), strict=True))
        for table, found in rows.items()
    }
    return Tables(**columns, class_names={identifier: class_names(run) for identifier, run in runs.items()})


def ended(run: Run, accuracies: np.ndarray, rungs: dict[int, list[float]]) -> int:
    """The epochs that a run was trained: of a trial, up to the rung at which it is not among the best."""
    epochs, study = run.settings.training.epochs, run.settings.study
    for epoch in rung_epochs(study, epochs - 1) if study else ():
        seen = rungs.setdefault(epoch, [])
        seen.append(accuracies[epoch - 1])
        if accuracies[epoch - 1] < sorted(seen)[-max(1, len(seen) // study.reduction_factor)]:
            return epoch
    return epochs


class Gallery:
    """The report, its made-up results, and what is made of them."""

    def __init__(self) -> None:
        self.report = Report(FILE)
        self.tables = made_up(self.report)
        self.face = Face(self.report.slug)

    def layers(self, spec: Any) -> dict[str, Any]:
        """The layer tables that a figure or table shows."""
        if not network_names(spec):
            return {}
        from reprise.data.augment import image_shape
        from reprise.models.layers import layer_table

        return {
            name: {"title": title, **layer_table(run.settings.model, len(class_names(run)), image_shape(run))}
            for name, (title, run) in self.report.networks(network_names(spec)).items()
        }

    def table(self, spec: Any) -> str:
        """A table in Markdown."""
        report = self.report
        space = isinstance(spec, SpaceTable)
        sources = Sources(
            report.cells,
            self.tables,
            names=report.names,
            layers=self.layers(spec),
            experiment=report.file.experiments[spec.experiment] if space else None,
        )
        jury = jury_of(report.statements, report.where, sources)
        return markdown(build_table(spec, replace(sources, verdict=jury.verdict)), spec.caption, ()).strip()

    def picture(self, spec: Figure, images: Path | None = None) -> bytes:
        """A figure as a small PNG, which says what it was drawn from."""
        sources = Sources(
            self.report.cells,
            self.tables,
            images=images,
            layers=self.layers(spec),
            colors=series_colors(self.report.figures, self.report.cells)[spec.id],
        )
        drawn = io.BytesIO()
        with style():
            build_figure(spec, sources, self.face)[0].savefig(drawn, format="png", dpi=DPI)
        facts, small = PngInfo(), io.BytesIO()
        facts.add_text(SOURCE, drawn_from(spec))
        facts.add_text(SOFTWARE, drawn_by())
        image = Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        image.save(small, format="png", optimize=True, pnginfo=facts)
        return small.getvalue()


def drawn_from(spec: Figure) -> str:
    """What a picture says it was drawn from."""
    return canonical(json.loads(json.dumps(plain(spec))))


def drawn_by() -> str:
    """What decides, beside that, how a picture looks."""
    return f"matplotlib {matplotlib.__version__}, NumPy {np.__version__}"


def sample_images(report: Report, spec: Samples, folder: Path) -> Path:
    """The images that the demo draws in place of a data set's."""
    from reprise.cli import main
    from reprise.data.decode import load
    from reprise.data.samples import write_samples

    dataset, where = spec.images.dataset, ["--results", str(folder)]
    with redirect_stdout(io.StringIO()):
        main(["data", "synthesize", dataset, "--train", "100", "--test", "20", *where])
        main(["data", "fetch", dataset, "--scale", "demo", *where])
        main(["data", "decode", dataset, "--scale", "demo", *where])
    file = folder / f"{spec.id}.npz"
    write_samples(load(folder / "demo/data" / dataset), plain(spec.images), file)
    return file


# ---- the page ----


def samples() -> dict[str, str]:
    """Id of a figure or table → what the report file says of it."""
    text = FILE.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for section in GALLERY:
        body = re.search(rf"^{section}:\n(.*?)(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL)
        assert body, section
        for entry in re.split(r"\n\n", body[1].strip("\n")):
            name = re.search(r"- id: (\w+)", entry)
            assert name, entry
            found[name[1]] = f"{section}:\n{entry}\n"
    return found


ABOUT = """
Every kind of figure and table: what a report file says, what comes out, and every option. The results are
made up; `make gallery` draws them anew. [The report file](gallery/gallery.yaml) of this page says what the
names in the samples mean: `base`, `grid` and `search` are experiments, `lenet` is a model. `runs` takes
[selectors](report-files.md#readings-and-selectors), `measure` [expressions](statements.md#the-grammar).
"""


def page(gallery: Gallery) -> str:
    """The page, without the pictures."""
    keys, written = Keys(), samples()
    parts = ["# Gallery", MADE.replace("reference", "gallery"), wrapped(ABOUT)]
    for section, specs in (("figures", gallery.report.figures), ("tables", gallery.report.tables)):
        one = section[:-1]
        kinds = {
            keys.definitions[name]["properties"]["kind"]["const"]: name
            for name in keys.chapters[section]
            if "kind" in keys.definitions[name]["properties"]
        }
        common = shared_keys(keys, list(kinds.values()))
        parts += [f"## {section.capitalize()}", f"Keys of every {one}:"]
        parts.append("\n".join([*entries(keys, kinds, common), *shorter(section)]))
        for spec in specs:
            parts += [f"### {one.capitalize()} {spec.kind}", f"```yaml\n{written[spec.id]}```"]
            picture = f"![{spec.caption}](gallery/{spec.id}.png)"
            parts.append(picture if section == "figures" else gallery.table(spec))
            parts.append("\n".join(keys.entries(kinds[spec.kind], "gallery", without=common)))
        parts.append(f"### Parts of {section}")
        for name in keys.chapters[section]:
            if name not in kinds.values():
                said = keys.definitions[name].get("description")
                parts += [f"#### {keys.headings[name]}", *([wrapped(sentence(said))] if said else [])]
                parts.append("\n".join(keys.entries(name, "gallery")))
    return "\n\n".join(parts) + "\n"


def shared_keys(keys: Keys, names: Sequence[str]) -> list[str]:
    """The keys that all these definitions have."""
    found = [list(keys.definitions[name]["properties"]) for name in names]
    return [key for key in found[0] if all(key in each for each in found)]


def entries(keys: Keys, kinds: Mapping[str, str], common: Sequence[str]) -> list[str]:
    """Those keys as list items; the kind is any of these."""
    one = keys.definitions[next(iter(kinds.values()))]
    schemas = {key: one["properties"][key] for key in common}
    schemas["kind"] = {"enum": list(kinds), "description": schemas["kind"]["description"]}
    return [
        item(keys.entry(key, schema, key in one["required"], "gallery")) for key, schema in schemas.items()
    ]


def draw(gallery: Gallery, folder: Path) -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        for spec in gallery.report.figures:
            images = sample_images(gallery.report, spec, Path(scratch)) if isinstance(spec, Samples) else None
            (folder / f"{spec.id}.png").write_bytes(gallery.picture(spec, images))


def main() -> None:
    gallery = Gallery()
    draw(gallery, FOLDER)
    PAGE.write_text(page(gallery), encoding="utf-8")
    print("docs/gallery.md")


if __name__ == "__main__":
    main()
