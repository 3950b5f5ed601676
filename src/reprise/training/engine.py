"""The engine: trains a list of runs in one process, on data that stays on the device.

`train` goes through the list; `train_run` is the training loop, from the first weights to the saved result.
What a run's settings mean stands in `reprise.reports.settings`. The order of the images, the augmentation
and the dropout of an epoch follow from the run's seeds and the epoch's number alone, so a run resumed after
any epoch gives the same numbers, bit for bit, as one that was never stopped.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reprise import __version__, models
from reprise.errors import DamagedError, RepriseError, file_error
from reprise.reports.layout import CHECKPOINT, RUN
from reprise.reports.run import ENGINE, Run
from reprise.results.selection import HistoryRow, diverged, monitored, selected_epoch, stops_early
from reprise.supervision import check_deaths, forget_deaths
from reprise.training.checkpoint import Checkpoint
from reprise.training.cuda_graphs import RecordingError, TrainStep, own_stream, with_cuda_graph
from reprise.training.feed import Feed, build_feed, image_feed
from reprise.training.inference import evaluate
from reprise.training.optim import build_optimizer, learning_rate, step_schedule
from reprise.training.parts import Datasets, RunData
from reprise.training.precision import choose_precision, memory_format, precision_name
from reprise.training.preconditions import check_predecessors, check_pretrained, check_trials, parents_first
from reprise.training.reporting import Reporter
from reprise.training.results import adopt_run, check_own_folder, publish, read_run
from reprise.training.seeds import derive
from reprise.training.session import (
    Elsewhere,
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
from reprise.training.state import State, fresh_state, now
from reprise.training.threads import ThreadChoice

CHECKPOINT_SECONDS = 30.0
FINITE_EVERY = 100
"""Steps between two looks at the loss: each look waits for the device."""

OnStep = Callable[[int, int, Tensor], None]
"""Called after each step with epoch (from 1), step (from 0) and the batch's cross-entropy, which is still on
the device.
"""


class Pruner(Protocol):
    """Ends trials of a study before their last epoch (see `reprise.search`)."""

    in_order: bool
    """Whether a trial is judged by the trials before it alone, which can be repeated; `meta` of the run keeps
    it as `judged_in_order`.
    """

    def stop(self, run: Run, history: Sequence[HistoryRow]) -> str | None:
        """Why `run`, with the `history` of its finished epochs, ends though epochs are left; None: it goes
        on.
        """


@dataclass(frozen=True)
class RunResult:
    """One run of the list: `meta` as in its `run.json`; `trained` is false where the result was there
    already.
    """

    run: Run
    trained: bool
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """What all runs of one list share; see `train`."""

    cache: Path
    weights_dir: Path | None
    device: torch.device
    precision: str
    cuda_graphs: bool
    threads: ThreadChoice
    checkpoint_seconds: float
    interrupt: Interrupt
    reporter: Reporter
    on_step: OnStep | None
    pruner: Pruner | None
    wait: bool

    def precision_of(self, run: Run) -> torch.dtype:
        return choose_precision(self.precision, run.settings.model["name"], self.device)


# ---- a list of runs ----


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
    pruner: Pruner | None = None,
    names: Mapping[str, str] | None = None,
    wait: bool = True,
) -> list[RunResult]:
    """Train each run whose result is not yet in `cache`, and save each result as its run ends.

    Parameters
    ----------
    dataset_dirs: data set name → folder of its arrays.
    cache: folder of run folders; `<cache>/<run>/` gets `history.parquet`, `weights.safetensors` and, last,
        `run.json`.
    weights_dir: folder of pretrained weights.
    device: `auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:1` ….
    precision: `float32`, `bfloat16`, or `auto` (see `reprise.training.precision`); a run's `meta` says which
        it was.
    cuda_graphs: whether steps on CUDA are recorded and replayed; it changes their pace, not their results.
    threads: CPU threads, at most; None is torch's number. A run takes fewer where a trial of its step says
        that more are not faster; its `meta` says how many.
    exact_threads: take `threads` as they are. Another number of threads rounds sums in another order, so
        whoever wants a run again, bit for bit, gives those that its `meta` names.
    checkpoint_seconds: work of one run that a killed process loses at most, to the nearest epoch.
    on_step: sees every loss, which holds until the next step.
    on_finished: called with each run whose result is there, new or old, once it is there.
    pruner: asked before every epoch but the first of the runs that are trials of a study; these need one.
    names: run → what the log calls it besides its hash.
    wait: for a run that another process trains; else that is `Elsewhere`, and ends the work.

    A run that fails leaves no result and stops no other but those that follow it, unless CUDA could not
    record its steps; in the end a `RepriseError` names those that failed. Runs that follow another run of the
    list (`Run.follows`) come after it. SIGINT and SIGTERM end the work with `Interrupted`, and the next call
    goes on.
    """
    cache, chosen = Path(cache), choose_device(device)
    datasets = Datasets(dataset_dirs, chosen)

    # What can be known to fail is refused before any work is done.
    ordered = parents_first(runs)
    pending = [run for run in ordered if unfinished(run, datasets, cache)]
    datasets.check(pending)
    check_pretrained(pending, weights_dir)
    if pruner is None:
        check_trials(pending)
    check_predecessors(pending, ordered, cache, trials_wait=pruner is None or pruner.in_order)

    results: list[RunResult] = []
    failures: dict[str, str] = {}
    with (
        reproducible(chosen, threads),
        own_stream(chosen),
        interruptible() as interrupt,
        Reporter(ordered, pending, names or {}) as reporter,
    ):
        job = Job(
            cache=cache,
            weights_dir=weights_dir,
            device=chosen,
            precision=precision,
            cuda_graphs=cuda_graphs,
            threads=ThreadChoice(torch.get_num_threads(), exact_threads),
            checkpoint_seconds=checkpoint_seconds,
            interrupt=interrupt,
            reporter=reporter,
            on_step=on_step,
            pruner=pruner,
            wait=wait,
        )
        for place, run in enumerate(ordered, 1):
            interrupt.check()
            reporter.start(run)
            try:
                results.append(finish(run, datasets, job, failures))
                if on_finished:
                    on_finished(run)
            except (Interrupted, Elsewhere):
                raise
            except Exception as error:  # whatever torch makes of a run that it cannot train
                failures[run.hash] = reason(error)
                spoiled = isinstance(error, RecordingError)  # others would fail for no reason of their own
                untried = sum(other in pending for other in ordered[place:]) if spoiled else 0
                if untried:
                    failures[run.hash] += f"; runs after it that were not tried: {untried}"
                reporter.say(f"run {run.hash}: {failures[run.hash]}")
                if spoiled:
                    break
            reporter.done()
    if failures:
        first = next(iter(failures))
        named = ", ".join([*failures][:10]) + (", …" if len(failures) > 10 else "")
        others = f"; {len(failures)} of {len(ordered)} runs failed: {named}" if len(failures) > 1 else ""
        raise RepriseError(f"run {first}: {failures[first]}{others}")
    return results


def reason(error: Exception) -> str:
    """Why a run failed, as one line."""
    if isinstance(error, RepriseError):
        return str(error)
    if isinstance(error, OSError):
        return file_error(error)
    if too_little_memory(error):
        return (
            "there is too little memory; lower training.batch_size, give the job more, or use another device"
        )
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason given'])[0]}"


def unfinished(run: Run, datasets: Datasets, cache: Path) -> str | None:
    """Why the run must be trained; None where its result is there, whole, and of the images at hand."""
    try:
        datasets.check_trained_on(run, read_run(cache / run.hash)["meta"])
    except DamagedError as error:
        return error.what
    except RepriseError as error:
        return str(error)
    return None


def finish(run: Run, datasets: Datasets, job: Job, failures: Collection[str]) -> RunResult:
    """The result of `run`: the one that is there, or a new one, which no other process makes meanwhile.

    failures: hashes of the runs of the list that have failed; one that follows them fails, too.
    """
    folder = job.cache / run.hash
    if unfinished(run, datasets, job.cache) is None:
        return kept(run, folder)  # without a lock: a folder that cannot be written to has no place for one
    check_own_folder(folder)
    with only_process(folder, job.interrupt, job.reporter.say, wait=job.wait):
        # Another process may have trained it while this one waited for the lock.
        why = unfinished(run, datasets, job.cache)
        if why is None:
            return kept(run, folder)
        for name in run.follows:
            if name in failures:
                raise RepriseError(f"not trained, because it follows run {name}, which failed")
        if (folder / RUN).exists():
            job.reporter.say(f"run {run.hash} starts again ({why})")

        # A fault in a library kills the process. The parent counts such deaths, and has been told what is in
        # hand before anything is done for the run.
        present = conditions(job.device, precision_name(job.precision_of(run)), job.cuda_graphs)
        check_deaths(folder, present, job.reporter.name(run))
        job.reporter.begins(run, folder, present)
        meta = train_run(run, datasets.of(run), folder, job)
        remove_leftovers(folder)
        return RunResult(run, trained=True, meta=meta)


def kept(run: Run, folder: Path) -> RunResult:
    """The result that was there."""
    remove_leftovers(folder)
    return RunResult(run, trained=False, meta=adopt_run(folder)["meta"])


def remove_leftovers(folder: Path) -> None:
    """Remove what a finished run does not need any more, or what its process, killed at that moment, has
    left. What cannot be removed does no harm.
    """
    with contextlib.suppress(OSError):
        (folder / CHECKPOINT).unlink(missing_ok=True)
        forget_deaths(folder)


# ---- one run ----


def train_run(run: Run, data: RunData, folder: Path, job: Job) -> dict[str, Any]:
    """Train one run from its checkpoint, if there is one, to its end; write its results and return their
    `meta`.
    """
    training, seeds, device = run.settings.training, run.settings.seeds, job.device
    precision = job.precision_of(run)

    # Network, optimiser and schedule, as the last checkpoint has them or as they are before the first epoch.
    checkpoint = Checkpoint(folder / CHECKPOINT, run, data.digests, device, precision, job.checkpoint_seconds)
    state = checkpoint.load_into(
        lambda: fresh_state(run, data, job.cache, job.weights_dir, device, precision), job.reporter.say
    )
    job.reporter.resumed(state.epoch)
    if device.type == "cpu":
        trial = partial(trial_step, run, data, state.model, precision)
        state.threads = job.threads.use(run, data.image_shape, state.threads, trial, job.reporter.say)
    else:
        state.threads = job.threads.most

    # What the network is given: images or, where its first part is frozen and nothing is augmented, features
    # that are computed here, once.
    feed = build_feed(run, data, state.model)

    # One step of the optimiser. On CUDA, where launching its kernels is most of the time of a small network,
    # it is recorded as a graph and replayed.
    keep_originals = bool(training.keep_originals)
    generator = Generator(device)  # of the augmentation
    step = Step(feed, state.optimizer, generator, keep_originals=keep_originals, precision=precision)
    train_batch: TrainStep = step
    if job.cuda_graphs:
        train_batch = with_cuda_graph(step, training.batch_size, generator, device)

    try:
        while (stopped := why_it_ends(run, state.history, job.pruner)) is None:
            began = time.monotonic()
            epoch, rate = state.epoch + 1, learning_rate(state.optimizer)

            # Every image once, in an order of this epoch's own. All chance is seeded anew with the epoch's
            # number, so a checkpoint needs no state of a generator.
            order = epoch_order(run, epoch, len(feed.train))
            step.begin(derive(seeds.augmentation, "augmentation", epoch))
            torch.manual_seed(derive(seeds.augmentation, "dropout", epoch))
            state.model.train()
            for index, places in enumerate(order.to(device).split(training.batch_size)):
                job.interrupt.check()
                batch_loss = train_batch(places)
                if index % FINITE_EVERY == FINITE_EVERY - 1:  # no epoch goes on for long with a loss of NaN
                    finite(step.loss_sum, run, epoch, learning_rate(state.optimizer))
                if job.on_step:
                    job.on_step(epoch, index, batch_loss)

            # Training loss and accuracy are means over the epoch, of each batch as the network was then (as
            # Keras reports them), without the penalty on the weights.
            train_loss = finite(step.loss_sum / len(order), run, epoch, rate)
            train_accuracy = step.correct / len(order)

            # The validating images are prepared as in evaluation, unless the run has them augmented.
            prepare = feed.prepare
            if run.settings.split.augmented:
                seed = derive(seeds.augmentation, "validation", epoch)
                prepare = partial(feed.prepare_training, generator=Generator(device).manual_seed(seed))
            loss, accuracy = evaluate(feed.network, feed.validation, prepare, data.evaluation_batch)
            loss = finite(loss, run, epoch, rate)

            # The epoch is over: note it, move the learning rate, keep the weights if they are the best yet.
            rows = [
                {"epoch": epoch, "split": "train", "loss": train_loss, "accuracy": train_accuracy},
                {"epoch": epoch, "split": data.validation_split, "loss": loss, "accuracy": accuracy},
            ]
            state.history += rows
            state.learning_rates.append(rate)
            step_schedule(state.schedule, loss)
            if selected_epoch(state.history, training.select) == epoch:
                state.keep_weights()
            seconds = time.monotonic() - began
            state.seconds += seconds
            checkpoint.epoch_ended(state)
            job.reporter.epoch(rows, seconds)

        # `run.json` is written last: whoever sees it sees the whole result.
        meta = run_meta(run, data, state, job, stopped)
        publish(folder, run, state.history, state.selected, meta)
    except BaseException:
        # Also for Ctrl-C and a lack of memory: what is finished is kept. What stopped the run says more than
        # a checkpoint that cannot be written.
        with contextlib.suppress(RepriseError):
            checkpoint.write()
        raise
    accuracy = monitored(state.history, "accuracy")[meta["selected_epoch"] - 1]
    job.reporter.trained(accuracy, meta["selected_epoch"], meta["epochs"], meta["seconds"])
    return meta


class Step:
    """One step of the optimiser for each batch, and the sums over them.

    It never looks at a value on the host, and leaves its sums on the device, so on CUDA the whole of it can
    be recorded as a graph.

    Parameters
    ----------
    generator: of the augmentation, on the data's device.
    keep_originals: an epoch has every image twice; places from the number of images on are those of the
        augmented ones.
    precision: as `choose_precision` gives it.
    """

    def __init__(
        self,
        feed: Feed,
        optimizer: torch.optim.Optimizer,
        generator: Generator,
        *,
        keep_originals: bool,
        precision: torch.dtype,
    ) -> None:
        self._feed, self._optimizer, self._generator = feed, optimizer, generator
        self._keep_originals, self._precision = keep_originals, precision
        device = feed.train.labels.device
        self._format = memory_format(feed.network, precision, device)
        self._device = device.type
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)

    def begin(self, seed: int) -> None:
        """Begin an epoch: the augmentation's random numbers from `seed`, the sums at nothing."""
        self._generator.manual_seed(seed)
        self._loss_sum.zero_()
        self._correct.zero_()

    @property
    def loss_sum(self) -> float:
        """Sum of the cross-entropy over all images since `begin`; waits for the device."""
        return self._loss_sum.item()

    @property
    def correct(self) -> int:
        """Images since `begin` whose label had the largest logit; waits for the device."""
        return int(self._correct.item())

    def __call__(self, places: Tensor) -> Tensor:
        """Train on the images at `places` (N,); the batch's mean cross-entropy as the network was before."""
        loss = self.forward(places)
        self._optimizer.zero_grad()
        (loss if self._feed.penalty is None else loss + self._feed.penalty()).backward()
        self._optimizer.step()
        return loss.detach()

    def forward(self, places: Tensor) -> Tensor:
        """The batch's mean cross-entropy, which also goes into the sums."""
        # With keep_originals a batch holds images as they are and others that are augmented.
        augmented, images = None, len(self._feed.train)
        if self._keep_originals:
            places, augmented = places % images, places >= images
        # uint8 images are gathered by index, brought to [0, 1], augmented sample by sample, and normalised.
        inputs, labels = self._feed.train.batch(places)
        inputs = self._feed.prepare_training(inputs, self._generator, augmented)
        if self._format == torch.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=self._format)
        # Without a cache of converted weights, which a recorded graph would keep as they are now.
        with torch.autocast(
            self._device, self._precision, enabled=self._precision != torch.float32, cache_enabled=False
        ):
            logits = _logits(self._feed.network, inputs).float()
        loss = F.cross_entropy(logits, labels)
        self._loss_sum += loss.detach() * len(labels)
        self._correct += (logits.argmax(1) == labels).sum()
        return loss


def _logits(network: nn.Module, inputs: Tensor) -> Tensor:
    try:
        return network(inputs)
    except ValueError as error:
        # Batch normalisation cannot train on one value per channel, as the last batch may have.
        why = f"a batch of {len(inputs)} does not fit the network ({' '.join(str(error).split())})"
        raise RepriseError(f"{why}; set training.drop_last or another training.batch_size") from None


def trial_step(run: Run, data: RunData, model: nn.Module, precision: torch.dtype) -> Callable[[], object]:
    """A step of training on the first batch, which changes a copy of `model`."""
    trial = copy.deepcopy(model).train()
    feed = replace(image_feed(run, data, trial), penalty=None)
    optimizer = build_optimizer(
        run.settings.optimizer, [item for item in trial.parameters() if item.requires_grad]
    )
    step = Step(feed, optimizer, Generator(), keep_originals=False, precision=precision)
    return partial(step, torch.arange(min(run.settings.training.batch_size, len(data.train))))


def epoch_order(run: Run, epoch: int, images: int) -> Tensor:
    """Places of the images of an epoch, int64 (N,), in the order in which they are trained on.

    With `keep_originals` every image stands there twice, once as it is and once augmented: see `Step`.
    """
    training, seed = run.settings.training, derive(run.settings.seeds.order, "order", epoch)
    count = 2 * images if training.keep_originals else images
    order = torch.randperm(count, generator=Generator().manual_seed(seed))
    if training.drop_last:
        order = order[: count - count % training.batch_size]
    if not len(order):
        raise RepriseError(
            f"training.batch_size {training.batch_size} is more than the {count} training images; lower "
            "it or unset training.drop_last"
        )
    return order


def finite(loss: float, run: Run, epoch: int, rate: float) -> float:
    """`loss`; one that is not finite ends the run with a `RepriseError`, but in a study it is a result,
    NaN.
    """
    if math.isfinite(loss):
        return loss
    if run.settings.study:
        return math.nan
    raise RepriseError(f"the loss became {loss} in epoch {epoch}; lower optimizer.lr (now {rate:g})")


def why_it_ends(run: Run, history: Sequence[HistoryRow], pruner: Pruner | None) -> str | None:
    """Why the run ends after the epochs of its history; None: it goes on. A resumed run asks with its whole
    history.
    """
    training = run.settings.training
    if diverged(history):
        return "diverged"
    if len(monitored(history, "loss")) >= training.epochs:
        return "finished"
    if stops_early(history, training.early_stop):
        return "early stop"
    return pruner.stop(run, history) if pruner and history and run.settings.study else None


def run_meta(run: Run, data: RunData, state: State, job: Job, stopped: str) -> dict[str, Any]:
    """The `meta` of a run's `run.json`: where, when, with what and on what it was trained."""
    meta = {
        "engine": ENGINE,
        "reprise": __version__,
        "torch": torch.__version__,
        "device": device_name(job.device),
        "dtype": precision_name(job.precision_of(run)),
        "threads": state.threads,
        "started": state.started,
        "finished": now(),
        "seconds": round(state.seconds, 3),
        "seconds_per_epoch": round(state.seconds / state.epoch, 3),
        "epochs": state.epoch,
        "selected_epoch": selected_epoch(state.history, run.settings.training.select),
        "stopped": stopped,
        "parameters": models.parameter_count(state.model),
        "train_images": len(data.train),
        "validation_images": len(data.validation),
        "learning_rates": state.learning_rates,
        "source": data.source,
        "data": dict(data.digests),
    }
    mean, std = data.preprocess.mean, data.preprocess.std
    if run.settings.preprocess.normalize == "train" and mean is not None and std is not None:
        meta["channel_mean"] = mean.flatten().tolist()
        meta["channel_std"] = std.flatten().tolist()
    if job.pruner and run.settings.study:
        meta["judged_in_order"] = job.pruner.in_order
    return meta
