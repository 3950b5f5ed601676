"""All that changes while a run trains: as it is before the first epoch, and as a checkpoint keeps it."""

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reprise import models
from reprise.errors import RepriseError
from reprise.reports.layout import WEIGHTS_FILE
from reprise.reports.run import Run
from reprise.results.selection import HistoryRow
from reprise.training.optim import build_optimizer, build_schedule, restore_optimizer
from reprise.training.parts import RunData
from reprise.training.precision import place
from reprise.training.results import read_weights
from reprise.training.seeds import derive


@dataclass
class State:
    """Random generators are not part of it: they are seeded anew every epoch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    started: str
    """UTC, ISO 8601."""
    history: list[HistoryRow] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    """By epoch, so their number is the number of finished epochs."""
    selected: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the epoch that would be selected now."""
    seconds: float = 0.0
    threads: int = 0
    """Of the CPU, in every step; 0: not yet chosen."""

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.learning_rates)

    def keep_weights(self) -> None:
        """Make the present weights the selected ones."""
        self.selected = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def snapshot(self) -> dict[str, Any]:
        """A copy that later steps leave alone (`selected` is replaced, never changed)."""
        changing = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "schedule")}
        plain = {
            name: getattr(self, name)
            for name in ("started", "history", "learning_rates", "seconds", "threads")
        }
        return {**copy.deepcopy({**changing, **plain}), "selected": self.selected}

    def restore(self, snapshot: dict[str, Any]) -> None:
        restore_optimizer(self.optimizer, snapshot["optimizer"])
        for name in ("model", "schedule"):
            getattr(self, name).load_state_dict(snapshot[name])
        for name in ("started", "history", "learning_rates", "seconds", "selected"):
            setattr(self, name, snapshot[name])
        self.threads = snapshot.get("threads", 0)  # checkpoints of older versions do not say


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fresh_state(
    run: Run,
    data: RunData,
    cache: Path,
    weights_dir: Path | None,
    device: torch.device,
    precision: torch.dtype,
) -> State:
    """The state before the first epoch. Weights are drawn on the CPU, so that they are the same on every
    device.
    """
    torch.manual_seed(derive(run.settings.seeds.init, "init"))
    model = models.build(run.settings.model, len(data.classes), data.image_shape, weights_dir)
    load_initial_weights(model, run, cache)
    place(model, precision, device)
    trained = [item for item in model.parameters() if item.requires_grad]
    optimizer = build_optimizer(run.settings.optimizer, trained, on_cuda=device.type == "cuda")
    schedule = build_schedule(run.settings.schedule, optimizer, run.settings.training.epochs)
    return State(model, optimizer, schedule, started=now())


def load_initial_weights(model: nn.Module, run: Run, cache: Path) -> None:
    """The selected weights of the parent run, if there is one, except those whose names start with one of
    `drop`.
    """
    initial = run.settings.initial_weights
    if initial is None:
        return
    folder, dropped = cache / initial.run, tuple(initial.drop)
    theirs = {
        name: value
        for name, value in read_weights(folder / WEIGHTS_FILE).items()
        if not name.startswith(dropped)
    }
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith(dropped)}
    for name in [*ours, *theirs]:
        here, there = (
            tuple(weights[name].shape) if name in weights else "absent" for weights in (ours, theirs)
        )
        if here != there:
            remedy = "make the networks agree or name it in initial_weights.drop"
            raise RepriseError(
                f"initial weights: {name} is {there} in run {initial.run} and {here} in this run; {remedy}"
            )
    model.load_state_dict(theirs, strict=False)
