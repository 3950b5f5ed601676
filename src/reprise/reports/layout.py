"""Where every file lies. The workflow and the command line ask here, so they cannot disagree."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from reprise.errors import RepriseError, nearest

Scale = Literal["full", "quick", "demo"]
SCALES: tuple[Scale, ...] = get_args(Scale)
"""What is made of a report: all of it, less of it on real data, or little of it on synthetic data."""
STAND_INS = {"cinic10": "cifar10"}
"""Data set → the one whose images can stand in for its own."""
STAND_IN = "-stand-in"
"""What the name of a data set's folder and stamps ends in where other images stand in for its own."""

RUN, HISTORY, WEIGHTS_FILE = "run.json", "history.parquet", "weights.safetensors"
EVALUATION, PREDICTIONS, FINAL = "evaluation.json", "predictions.parquet", "final.parquet"
CHECKPOINT, LOCK = "checkpoint.pt", ".lock"
OTHERS = "others.json"
"""In a run's folder: what training leaves there, and evaluation, the records first; what is there while it
trains; and what run caches know of further results of the same run.
"""
PAGES = "assets/pages.txt"
"""In the folder of the site: the names of its files."""
EVIDENCE = "results/evidence"
"""The repository's own run cache."""
DEMO_IMAGES = {"train": 400, "test": 200}
"""Images that are drawn for each of the demo's data sets, as far as nobody asks for others; a validation part
is as large as the test set.
"""


def stand_in_source(name: str, where: str) -> str:
    """The data set whose images can stand in for those of `name`; the `RepriseError` for one that has none
    says `where` it was named.
    """
    if name not in STAND_INS:
        raise RepriseError(f"{where}: nothing stands in for {name}{nearest(name, STAND_INS)}")
    return STAND_INS[name]


@dataclass(frozen=True)
class Layout:
    """Paths under the results folder for one scale; `data` overrides where data sets are kept."""

    results: Path
    scale: str
    data: Path | None = None

    @property
    def root(self) -> Path:
        """`results/` at full scale, `results/<scale>/` otherwise."""
        return self.results if self.scale == "full" else self.results / self.scale

    @property
    def data_dir(self) -> Path:
        """Real data is shared by the scales; the demo's synthetic stand-ins lie under `results/demo/`."""
        if self.scale == "demo":
            return self.root / "data"
        return self.data or self.results / "data"

    def dataset(self, name: str, source: str = "real") -> Path:
        """Folder of the decoded arrays; a stand-in lies beside the real data set."""
        return self.data_dir / (f"{name}{STAND_IN}" if source == "stand-in" else name)

    @property
    def archives(self) -> Path:
        return self.data_dir / "archives"

    @property
    def synthetic(self) -> Path:
        """Folder of the archives that the project draws itself; the demo's mirror."""
        return self.data_dir / "synthetic"

    @property
    def weights(self) -> Path:
        """Folder of pretrained weights."""
        return self.data_dir / "weights"

    @property
    def runs(self) -> Path:
        """One folder per run hash, with results and while it trains its checkpoint: the cache, never deleted
        by the workflow.
        """
        return self.root / "runs"

    @property
    def copies(self) -> Path:
        """What servers of run caches have sent."""
        return self.root / "cache"

    def trained(self, run: str) -> Path:
        """The stamp that a run is trained: a copy of its run.json. It lies in the run's folder and goes with
        it.
        """
        return self.runs / run / "trained.json"

    def evaluated(self, run: str) -> Path:
        """The stamp that a run is evaluated: its final metrics."""
        return self.runs / run / "evaluated.json"

    def intermediate(self, slug: str, item: str, suffix: str) -> Path:
        """What a figure or table needs from a module with torch: layer tables, sample images."""
        return self.root / "intermediate" / slug / f"{item}{suffix}"

    def figure(self, slug: str, figure: str) -> Path:
        """Stem of a figure's files."""
        return self.root / "figures" / slug / figure

    def table(self, slug: str, table: str) -> Path:
        """Stem of a table's files."""
        return self.root / "tables" / slug / table

    def statements(self, slug: str) -> Path:
        """The verdicts as CSV; beside it lie the page (.md) and the record (.json)."""
        return self.root / "statements" / f"{slug}.csv"

    @property
    def site(self) -> Path:
        """Folder of the site."""
        return self.root / "site"

    @property
    def tensorboard(self) -> Path:
        """Folder of the event files for TensorBoard, one folder in it for each run."""
        return self.root / "tensorboard"
