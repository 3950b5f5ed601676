"""The engine: trains a list of runs in one process, on data that stays on the device.

Each run's meaning is that of its `Run.spec`. A batch is gathered by index, brought to [0, 1], augmented
sample by sample, normalised, and makes one step of the optimiser. The order of the images, the augmentation
and the dropout of an epoch follow from the run's seeds and the epoch's number alone, so a run resumed after
any epoch gives the same numbers, bit for bit, as one that was never stopped.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from reprise import __version__, models
from reprise.data.augment import Augmentation, build_augmentation
from reprise.data.catalog import weights_facts
from reprise.errors import DamagedError, RepriseError, file_error
from reprise.reports.run import ENGINE, Run, canonical
from reprise.supervision import check_deaths, forget_deaths
from reprise.training.checkpoint import Checkpoint, State
from reprise.training.inference import compute_features, evaluate
from reprise.training.optim import build_optimizer, build_schedule, learning_rate, step_schedule
from reprise.training.parts import Datasets, RunData
from reprise.training.regularization import build_penalty
from reprise.training.reporting import Reporter
from reprise.training.results import (
    RUN,
    WEIGHTS,
    adopt_run,
    check_own_folder,
    publish,
    read_run,
    read_weights,
)
from reprise.training.seeds import derive
from reprise.training.selection import Row, diverged, monitored, selected_epoch, stops_early
from reprise.training.session import (
    Interrupt,
    Interrupted,
    choose_device,
    conditions,
    device_name,
    interruptible,
    only_process,
    reproducible,
    too_little_memory,
)
from reprise.training.steps import (
    Feed,
    RecordedStep,
    RecordingError,
    Step,
    choose_precision,
    memory_format,
    own_stream,
    precision_name,
    record_cuda_graph,
)
from reprise.training.threads import fastest_threads

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 30.0
FINITE_EVERY = 100
"""Steps between two looks at the loss: each look waits for the device."""

OnStep = Callable[[int, int, Tensor], None]
"""Called after each step with epoch (from 1), step (from 0) and the batch's cross-entropy, which is still on
the device.
"""


class Judge(Protocol):
    """Ends trials of a study before their last epoch (see `reprise.search`)."""

    in_order: bool
    """Whether a trial is judged by the trials before it alone, which can be repeated; `meta` of the run keeps
    it as `judged_in_order`.
    """

    def stop(self, run: Run, history: Sequence[Row]) -> str | None:
        """Why `run`, with the `history` of its finished epochs, ends though epochs are left; None: it goes
        on.
        """


@dataclass(frozen=True)
class Outcome:
    """One run of the list: `meta` as in its `run.json`; `trained` is false where the result was there
    already.
    """

    run: Run
    trained: bool
    meta: Mapping[str, Any]


def train(
    runs: Sequence[Run],
    *,
    dataset_dirs: Mapping[str, Path],
    cache: Path,
    weights_dir: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    cuda_graphs: bool = True,
    threads: int | None = None,
    exact_threads: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_step: OnStep | None = None,
    on_finished: Callable[[Run], None] | None = None,
    judge: Judge | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Train each run whose result is not yet in `cache`, and save each result as its run ends.

    Parameters ---------- dataset_dirs: data set name → folder of its arrays. cache: folder of run folders;
    `<cache>/<run>/` gets `history.parquet`, `weights.safetensors` and, last, `run.json`. weights_dir: folder
    of pretrained weights. device: `auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:1` …. precision:
    `float32`, `bfloat16`, or `auto` (see `reprise.training.steps.choose_precision`); a run's `meta` says
    which it was. cuda_graphs: whether steps on CUDA are recorded and replayed; it changes their pace, not
    their results. threads: CPU threads, at most; None is torch's number. A run takes fewer where a trial of
    its step says that more are not faster;
        its `meta` says how many.
    exact_threads: take `threads` as they are. Another number of threads rounds sums in another order, so
    whoever wants a run again, bit for
        bit, gives those that its `meta` names.
    checkpoint_seconds: work of one run that a killed process loses at most, to the nearest epoch.
    on_step: sees every loss, which holds until the next step.
    on_finished: called with each run whose result is there, new or old, once it is there.
    judge: asked before every epoch but the first of the runs that are trials of a study; these need one.
    names: run → what the log calls it besides its hash.

    A run that fails leaves no result and stops no other but those that follow it, unless CUDA could not
    record its steps; in the end a `RepriseError` names those that failed. Runs that follow another run of the
    list (`Run.follows`) come after it. SIGINT and SIGTERM end the work with `Interrupted`, and the next call
    goes on.
    """
    chosen = choose_device(device)
    datasets = Datasets(dataset_dirs, chosen)
    ordered = parents_first(runs)
    pending = [run for run in ordered if _unfinished(run, datasets, Path(cache))]
    datasets.check(pending)
    _check_pretrained(pending, weights_dir)
    _check_judged(pending, judge)
    _check_predecessors(pending, ordered, Path(cache), judge)
    outcomes: list[Outcome] = []
    failures: dict[str, str] = {}
    with (
        reproducible(chosen, threads),
        own_stream(chosen),
        interruptible() as interrupt,
        Reporter(ordered, pending, names or {}) as reporter,
    ):
        session = Session(
            Path(cache),
            weights_dir,
            chosen,
            precision,
            cuda_graphs,
            exact_threads,
            checkpoint_seconds,
            interrupt,
            reporter,
            on_step,
            judge,
        )
        for place, run in enumerate(ordered, 1):
            interrupt.check()
            reporter.start(run)
            try:
                outcomes.append(_train_unless_finished(run, datasets, session, failures))
                if on_finished:
                    on_finished(run)
            except RecordingError as error:
                left = sum(other in pending for other in ordered[place:])
                failures[run.hash] = (
                    f"{error}; runs after it that were not tried: {left}" if left else str(error)
                )
                reporter.say(f"run {run.hash}: {failures[run.hash]}")
                break
            except RepriseError as error:
                failures[run.hash] = str(error)
            except Interrupted:
                raise
            except OSError as error:
                failures[run.hash] = file_error(error)
            except Exception as error:  # whatever torch makes of a run that it cannot train
                failures[run.hash] = _reason(error)
            if run.hash in failures:
                reporter.say(f"run {run.hash}: {failures[run.hash]}")
            reporter.done()
    if failures:
        first = next(iter(failures))
        named = ", ".join([*failures][:10]) + (", …" if len(failures) > 10 else "")
        others = f"; {len(failures)} of {len(ordered)} runs failed: {named}" if len(failures) > 1 else ""
        raise RepriseError(f"run {first}: {failures[first]}{others}")
    return outcomes


def _reason(error: Exception) -> str:
    if too_little_memory(error):
        return (
            "there is too little memory; lower training.batch_size, give the job more, or use another device"
        )
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason given'])[0]}"


def parents_first(runs: Sequence[Run]) -> list[Run]:
    """Each run once, in the given order, but after those that it follows."""
    by_hash = {run.hash: run for run in runs}
    ordered: dict[str, Run] = {}

    def place(run: Run) -> None:
        if run.hash not in ordered:
            for name in run.follows:
                if name in by_hash:
                    place(by_hash[name])
            ordered[run.hash] = run

    for run in by_hash.values():
        place(run)
    return list(ordered.values())


@dataclass(frozen=True)
class Session:
    """What all runs of one list share."""

    cache: Path
    weights_dir: Path | None
    device: torch.device
    precision: str
    cuda_graphs: bool
    exact_threads: bool
    checkpoint_seconds: float
    interrupt: Interrupt
    reporter: Reporter
    on_step: OnStep | None
    judge: Judge | None
    threads: int = field(default_factory=torch.get_num_threads)
    """CPU threads of a run, at most."""
    known_threads: dict[str, int] = field(default_factory=dict)
    """What was found for runs whose steps cost the same."""

    def precision_of(self, run: Run) -> torch.dtype:
        return choose_precision(self.precision, run.spec["model"]["name"], self.device)


def _train_unless_finished(
    run: Run, datasets: Datasets, session: Session, failures: Collection[str]
) -> Outcome:
    folder = session.cache / run.hash
    if (
        _unfinished(run, datasets, session.cache) is None
    ):  # without a lock, which a folder that cannot be written to has no place for
        return _kept(run, folder)
    check_own_folder(folder)
    with only_process(folder, session.interrupt, session.reporter.say):
        reason = _unfinished(run, datasets, session.cache)
        if reason is None:
            return _kept(run, folder)
        for name in run.follows:
            if name in failures:
                raise RepriseError(f"not trained, since it follows run {name}, which failed")
        if (folder / RUN).exists():
            session.reporter.say(f"run {run.hash} starts again ({reason})")
        now = conditions(session.device, precision_name(session.precision_of(run)), session.cuda_graphs)
        check_deaths(folder, now, session.reporter.name(run))
        session.reporter.begins(run, folder, now)
        outcome = Outcome(run, trained=True, meta=_train_run(run, datasets.of(run), folder, session))
        forget_deaths(folder)
        return outcome


def remove_leftovers(folder: Path) -> None:
    """Remove what the process of a finished run, killed at that moment, may have left in its folder."""
    with contextlib.suppress(OSError):
        (folder / CHECKPOINT).unlink(missing_ok=True)
        forget_deaths(folder)


def _kept(run: Run, folder: Path) -> Outcome:
    remove_leftovers(folder)
    return Outcome(run, trained=False, meta=adopt_run(folder)["meta"])


def _unfinished(run: Run, datasets: Datasets, cache: Path) -> str | None:
    """Why the run must be trained; None where its result is there, whole, and of the images at hand."""
    try:
        datasets.check_trained_on(run, read_run(cache / run.hash)["meta"])
    except DamagedError as error:
        return error.what
    except RepriseError as error:
        return str(error)
    return None


def _check_pretrained(runs: Sequence[Run], weights_dir: Path | None) -> None:
    """Raise a `RepriseError` for pretrained weights that are missing, before any work is done."""
    for run in runs:
        if run.pretrained:
            path = Path(weights_dir or "") / weights_facts(run.pretrained).file_name
            if not path.is_file():
                remedy = f"run python -m reprise data fetch-weights {run.pretrained} (or set mirror)"
                raise RepriseError(f"{path}: not found; {remedy}")


def _check_predecessors(
    pending: Sequence[Run], ordered: Sequence[Run], cache: Path, judge: Judge | None
) -> None:
    """Raise a `RepriseError` for a run that follows one that is neither in the list nor finished. Workers on
    one study wait for nobody.
    """
    here = {run.hash for run in ordered}
    for run in pending:
        names = run.follows if judge is None or judge.in_order else filter(None, [run.parent])
        for name in names:
            if name not in here and not (cache / name / RUN).exists():
                raise RepriseError(
                    f"run {run.hash} follows run {name}, which has no result in {cache}; train it first"
                )


def _check_judged(runs: Sequence[Run], judge: Judge | None) -> None:
    """Raise a `RepriseError` for a trial without a judge: it would go on where its study ends it."""
    for run in runs:
        if "study" in run.spec and judge is None:
            raise RepriseError(
                f"run {run.hash} is a trial of a study and no judge is given; train it with python -m "
                "reprise train"
            )


def _train_run(run: Run, data: RunData, folder: Path, session: Session) -> dict[str, Any]:
    """Train one run from its checkpoint, if there is one, to its end; write its results and return their
    `meta`.
    """
    precision = session.precision_of(run)
    checkpoint = Checkpoint(
        folder / CHECKPOINT, run, data.digests, session.device, precision, session.checkpoint_seconds
    )
    state = checkpoint.load_into(lambda: _fresh_state(run, data, session), session.reporter.say)
    session.reporter.resumed(state.epoch)
    state.threads = _use_threads(run, data, state, session)
    feed = _feed(run, data, state.model)
    step = _step(run, state, feed, session)
    try:
        while (stopped := _stops(run, state.history, session.judge)) is None:
            before = state.seconds
            rows = _train_epoch(run, data, state, feed, step, session)
            checkpoint.epoch_ended(state)
            session.reporter.epoch(rows, state.seconds - before)
        meta = _meta(run, data, state, session, stopped)
        if session.judge and "study" in run.spec:
            meta["judged_in_order"] = session.judge.in_order
        publish(folder, run, state.history, state.selected, meta)
    except BaseException:
        with contextlib.suppress(RepriseError):  # what stopped the run says more
            checkpoint.write()
        raise
    checkpoint.remove()
    accuracy = monitored(state.history, "accuracy")[meta["selected_epoch"] - 1]
    session.reporter.trained(accuracy, meta["selected_epoch"], meta["epochs"], meta["seconds"])
    return meta


def _stops(run: Run, history: Sequence[Row], judge: Judge | None) -> str | None:
    """Why the run ends after the epochs of its history; None: it goes on. A resumed run asks with its whole
    history.
    """
    training = run.spec["training"]
    if diverged(history):
        return "diverged"
    if len(monitored(history, "loss")) >= training["epochs"]:
        return "finished"
    if stops_early(history, training.get("early_stop")):
        return "early stop"
    return judge.stop(run, history) if judge and history and "study" in run.spec else None


def _fresh_state(run: Run, data: RunData, session: Session) -> State:
    """The state before the first epoch. Weights are drawn on the CPU, so that they are the same on every
    device.
    """
    torch.manual_seed(derive(run.spec["seeds"]["init"], "init"))
    model = models.build(run.spec["model"], len(data.classes), data.image_shape, session.weights_dir)
    if run.parent:
        _load_initial_weights(model, run, session.cache)
    model.to(session.device, memory_format=memory_format(model, session.precision_of(run), session.device))
    trained = [item for item in model.parameters() if item.requires_grad]
    optimizer = build_optimizer(run.spec["optimizer"], trained, on_cuda=session.device.type == "cuda")
    schedule = build_schedule(run.spec.get("schedule", {}), optimizer, run.spec["training"]["epochs"])
    return State(model, optimizer, schedule, started=_now())


def _use_threads(run: Run, data: RunData, state: State, session: Session) -> int:
    """Set torch's number of threads for `run` and return it: what its checkpoint says, as many as may be, or
    as many as pay.

    They are tried on a copy of the network, so that the run itself is made with one number of threads from
    its first step on.
    """
    most = session.threads
    torch.set_num_threads(most)
    if session.device.type != "cpu":
        return most
    if state.threads:
        threads = most if session.exact_threads else min(state.threads, most)
        if threads != state.threads:
            begun = f"begun with {state.threads} threads and goes on with {threads}"
            session.reporter.say(
                f"run {run.hash} was {begun}: rounding may differ from that of a run in one piece"
            )
        torch.set_num_threads(threads)
        return threads
    if session.exact_threads or most == 1:
        return most
    spec = run.spec
    key = canonical(
        [
            spec["model"],
            spec["optimizer"],
            spec.get("augmentation", []),
            spec["training"]["batch_size"],
            data.image_shape,
        ]
    )
    if key in session.known_threads:
        torch.set_num_threads(session.known_threads[key])
        return session.known_threads[key]
    with torch.random.fork_rng(devices=[]):
        chosen, paces = fastest_threads(_trial_step(run, data, state.model, session), session.threads)
    session.known_threads[key] = chosen
    tried = ", ".join(f"{1e3 * seconds:.1f} ms with {count}" for count, seconds in paces.items())
    session.reporter.say(f"run {run.hash}: {chosen} of {session.threads} threads (a step takes {tried})")
    return chosen


def _trial_step(run: Run, data: RunData, model: nn.Module, session: Session) -> Callable[[], object]:
    """A step of training on the first batch that leaves `model` as it is."""
    trial = copy.deepcopy(model).train()
    feed = replace(_image_feed(run, data, trial), penalty=None)
    optimizer = build_optimizer(
        run.spec["optimizer"], [item for item in trial.parameters() if item.requires_grad]
    )
    step = Step(feed, optimizer, Generator(), keep_originals=False, precision=session.precision_of(run))
    return partial(step, torch.arange(min(run.spec["training"]["batch_size"], len(data.train))))


def _load_initial_weights(model: nn.Module, run: Run, cache: Path) -> None:
    """The parent run's selected weights, except those whose names start with a prefix in `drop`."""
    folder, dropped = cache / run.parent, tuple(run.spec["initial_weights"].get("drop", ()))
    theirs = {
        name: value for name, value in read_weights(folder / WEIGHTS).items() if not name.startswith(dropped)
    }
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith(dropped)}
    for name in [*ours, *theirs]:
        here, there = (
            tuple(weights[name].shape) if name in weights else "absent" for weights in (ours, theirs)
        )
        if here != there:
            remedy = "make the networks agree or name it in initial_weights.drop"
            raise RepriseError(
                f"initial weights: {name} is {there} in run {run.parent} and {here} in this run; {remedy}"
            )
    model.load_state_dict(theirs, strict=False)


def training_augmentation(spec: Mapping[str, Any]) -> Augmentation:
    """What a run's training images go through. A `RepriseError` for `keep_originals` where that is
    nothing.
    """
    augmentation = build_augmentation(spec.get("augmentation", []))
    if spec["training"].get("keep_originals") and not augmentation:
        raise RepriseError(
            "training.keep_originals adds augmented images to the original ones; give an augmentation or "
            "leave it out"
        )
    return augmentation


def _feed(run: Run, data: RunData, model: nn.Module) -> Feed:
    """Features of a frozen part are computed once where no augmentation changes the images."""
    feed = _image_feed(run, data, model)
    frozen = getattr(model, "frozen_features", None)
    if frozen is None or training_augmentation(run.spec):
        return feed
    train, validation = (
        compute_features(frozen, part, data.preprocess, data.evaluation_batch)
        for part in (data.train, data.validation)
    )
    return replace(
        feed,
        network=model.head,
        train=train,
        validation=validation,
        prepare=lambda features: features,
        prepare_training=lambda features, generator, chosen=None: features,
    )


def _image_feed(run: Run, data: RunData, model: nn.Module) -> Feed:
    """The whole network, and images."""
    augmentation, preprocess = training_augmentation(run.spec), data.preprocess

    def augment(images: Tensor, generator: Generator, chosen: Tensor | None = None) -> Tensor:
        pixels = preprocess.pixels(images)
        changed = augmentation(pixels, generator)
        if chosen is not None:
            changed = torch.where(chosen.view(-1, 1, 1, 1), changed, pixels)
        return preprocess.normalise(changed)

    penalty = build_penalty(run.spec.get("regularization", {}), model)
    return Feed(
        network=model,
        train=data.train,
        validation=data.validation,
        prepare=preprocess,
        prepare_training=augment,
        penalty=penalty,
    )


Steps = tuple[Step, Callable[[Tensor], Tensor]]
"""The step of a run, which has the sums, and what makes it: itself, or its recording."""


def _step(run: Run, state: State, feed: Feed, session: Session) -> Steps:
    training, generator = run.spec["training"], Generator(session.device)
    keep_originals = training.get("keep_originals", False)
    step = Step(
        feed, state.optimizer, generator, keep_originals=keep_originals, precision=session.precision_of(run)
    )
    if session.device.type != "cuda" or not session.cuda_graphs:
        return step, step
    return step, RecordedStep(step, training["batch_size"], generator, session.device, record_cuda_graph)


def _train_epoch(
    run: Run, data: RunData, state: State, feed: Feed, steps: Steps, session: Session
) -> list[Row]:
    """One pass over the training part and one evaluation of the validating part; the new rows of the
    history.
    """
    began = time.monotonic()
    epoch, rate = state.epoch + 1, learning_rate(state.optimizer)
    loss, accuracy = _train_batches(run, epoch, state, feed, steps, session)
    prepare = feed.prepare
    if run.spec["split"].get("augmented"):
        generator = Generator(session.device).manual_seed(
            derive(run.spec["seeds"]["augmentation"], "validation", epoch)
        )
        prepare = partial(feed.prepare_training, generator=generator)
    validation_loss, validation_accuracy = evaluate(
        feed.network, feed.validation, prepare, data.evaluation_batch
    )
    loss, validation_loss = (_finite(value, run, epoch, rate) for value in (loss, validation_loss))
    rows = [
        {"epoch": epoch, "split": "train", "loss": loss, "accuracy": accuracy},
        {
            "epoch": epoch,
            "split": data.validation_split,
            "loss": validation_loss,
            "accuracy": validation_accuracy,
        },
    ]
    state.history += rows
    state.learning_rates.append(rate)
    step_schedule(state.schedule, validation_loss)
    if selected_epoch(state.history, run.spec["training"]["select"]) == epoch:
        state.keep_weights()
    state.seconds += time.monotonic() - began
    return rows


def _train_batches(
    run: Run, epoch: int, state: State, feed: Feed, steps: Steps, session: Session
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over the epoch's batches, as each batch saw the network (what Keras
    reports as training loss).

    With `keep_originals` every image stands in the epoch twice, once as it is and once augmented. A penalty
    on the weights is not part of the mean.
    """
    seeds, training = run.spec["seeds"], run.spec["training"]
    batch_size, images = training["batch_size"], len(feed.train)
    count = 2 * images if training.get("keep_originals") else images
    order = torch.randperm(count, generator=Generator().manual_seed(derive(seeds["order"], "order", epoch)))
    if training.get("drop_last"):
        order = order[: count - count % batch_size]
    if not len(order):
        raise RepriseError(
            f"training.batch_size {batch_size} is more than the {count} training images; lower it or unset "
            "training.drop_last"
        )
    step, make = steps
    step.begin(derive(seeds["augmentation"], "augmentation", epoch))
    torch.manual_seed(derive(seeds["augmentation"], "dropout", epoch))
    state.model.train()
    for index, places in enumerate(order.to(session.device).split(batch_size)):
        session.interrupt.check()
        loss = make(places)
        if index % FINITE_EVERY == FINITE_EVERY - 1:
            _finite(step.loss_sum, run, epoch, learning_rate(state.optimizer))
        if session.on_step:
            session.on_step(epoch, index, loss)
    return step.loss_sum / len(order), step.correct / len(order)


def _finite(loss: float, run: Run, epoch: int, rate: float) -> float:
    """`loss`; one that is not finite ends the run with a `RepriseError`, but in a study it is a result,
    NaN.
    """
    if math.isfinite(loss):
        return loss
    if "study" in run.spec:
        return math.nan
    raise RepriseError(f"the loss became {loss} in epoch {epoch}; lower optimizer.lr (now {rate:g})")


def _meta(run: Run, data: RunData, state: State, session: Session, stopped: str) -> dict[str, Any]:
    meta = {
        "engine": ENGINE,
        "reprise": __version__,
        "torch": torch.__version__,
        "device": device_name(session.device),
        "dtype": precision_name(session.precision_of(run)),
        "threads": state.threads,
        "started": state.started,
        "finished": _now(),
        "seconds": round(state.seconds, 3),
        "seconds_per_epoch": round(state.seconds / state.epoch, 3),
        "epochs": state.epoch,
        "selected_epoch": selected_epoch(state.history, run.spec["training"]["select"]),
        "stopped": stopped,
        "parameters": models.parameter_count(state.model),
        "train_images": len(data.train),
        "validation_images": len(data.validation),
        "learning_rates": state.learning_rates,
        "source": data.source,
        "data": dict(data.digests),
    }
    if run.spec.get("preprocess", {}).get("normalize") == "train":
        meta |= {
            "channel_mean": data.preprocess.mean.flatten().tolist(),
            "channel_std": data.preprocess.std.flatten().tolist(),
        }
    return meta


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
