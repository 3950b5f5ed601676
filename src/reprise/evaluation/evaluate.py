"""Weights of the selected epoch → predictions on the official test set → metrics."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from reprise import models
from reprise.errors import DamagedError, RepriseError
from reprise.evaluation.verification import check_metrics
from reprise.files import check_writable
from reprise.progress import log, progress, say
from reprise.reports.layout import EVALUATION, FINAL, HISTORY, PREDICTIONS, RUN, WEIGHTS_FILE
from reprise.reports.run import Run
from reprise.results.metrics import classification_metrics, plain_metrics, training_metrics
from reprise.supervision import tell
from reprise.training.inference import evaluate as evaluate_part
from reprise.training.inference import predict
from reprise.training.parts import Datasets, RunData
from reprise.training.precision import PRECISIONS, place
from reprise.training.results import (
    EVALUATE_AGAIN,
    adopt_run,
    check_evaluation,
    check_history,
    finished,
    read_table,
    read_weights,
    write_evaluation_record,
    write_table,
)
from reprise.training.session import choose_device, reproducible, too_little_memory


def evaluate(
    runs: Sequence[Run],
    dataset_dirs: Mapping[str, Path],
    cache: Path,
    device: str = "auto",
    threads: int | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """Write `predictions.parquet`, `final.parquet` and their record of each trained run that lacks them or
    whose files are damaged.

    `predictions` (run, image, label, predicted): `image` is the place in the stored test set, labels count
    the run's own classes. `final` (run, metric, value): accuracy, precision_macro, recall_macro, f1_macro,
    loss and test_images on the test set; selected_epoch, train_loss, train_accuracy (running means of that
    epoch), gap (training − test accuracy), parameters, parameters.<layer> (of each layer that has some, see
    `reprise.models.layer_parameters`), train_images, validation_images; where the images are normalised with
    the training part's own statistics, channel_mean.<colour> and channel_std.<colour>; and
    plain_train_accuracy, plain_train_loss (of the selected weights on the run's own training part, measured
    as the test images are: in evaluation mode, without augmentation) and plain_gap (that accuracy − test
    accuracy). The losses of a run that diverged at once are NaN.

    Parameters as in `reprise.training.engine.train`. A run without result or weights is a `RepriseError`; so
    are, once the others are evaluated, those for which there is too little memory. An evaluation by an
    earlier version stays as it is, even where it lacks the metrics of plain training images. One without a
    record is compared with the run's other files and gets one.
    """
    chosen = choose_device(device)
    datasets = Datasets(dataset_dirs, chosen)
    pending = [run for run in runs if not _evaluated(run, Path(cache) / run.hash)]
    if not pending:
        return
    datasets.check(pending)
    meta = {run.hash: _meta(run, Path(cache), datasets) for run in pending}
    for run in pending:
        check_writable(Path(cache) / run.hash)
    failed: list[str] = []
    with reproducible(chosen, threads):
        most = torch.get_num_threads()
        for number, run in enumerate(progress(pending, description="evaluating", unit="run"), 1):
            name = (names or {}).get(run.hash, "")
            tell(run=run.hash, name=name, doing="evaluated")
            log(f"run {run.hash} ({number}/{len(pending)}) is evaluated" + (f": {name}" if name else ""))
            torch.set_num_threads(
                min(most, meta[run.hash].get("threads", most))
            )  # more were not faster when it was trained
            try:
                _evaluate_run(run, meta[run.hash], datasets.of(run), Path(cache) / run.hash, chosen)
            except Exception as error:
                if not too_little_memory(error):
                    raise
                failed.append(run.hash)
                say(f"run {run.hash}: there is too little memory; give the job more, or use another device")
    if failed:
        raise RepriseError(
            f"run {', '.join(failed)}: not evaluated, because there is too little memory; the others "
            f"of {len(pending)} are evaluated"
        )


def _evaluated(run: Run, folder: Path) -> bool:
    """Whether the run's evaluation is there, as it was written; where it is damaged, a line says so."""
    try:
        check_evaluation(folder)
        if (folder / RUN).exists() and not (folder / EVALUATION).exists():
            _adopt_evaluation(folder)
    except DamagedError as error:
        say(f"run {run.hash} is evaluated again ({error.what})")
        return False
    except RepriseError:  # not there
        return False
    return True


def _adopt_evaluation(folder: Path) -> None:
    """Give an evaluation by an earlier version its record, if it fits the rest of its run; else a
    `DamagedError`.
    """
    document = finished(folder)
    if document is None:  # what is wrong with the run itself is said where its evaluation is needed
        return
    run, meta = Run(document["spec"]), document["meta"]
    check_metrics(folder, run, meta, check_history(folder, run, meta), EVALUATE_AGAIN)
    with contextlib.suppress(RepriseError):  # a folder that is read-only stays as it is
        adopt_run(folder)
        write_evaluation_record(folder)


def _meta(run: Run, cache: Path, datasets: Datasets) -> Mapping[str, Any]:
    if not (cache / run.hash / RUN).exists():
        raise RepriseError(f"run {run.hash}: no result in {cache}; train it first")
    meta = adopt_run(cache / run.hash)["meta"]
    datasets.check_trained_on(run, meta)
    return meta


def trained_network(run: Run, data: RunData, folder: Path) -> nn.Module:
    """The run's network with its selected weights. Pretrained ones are not needed: the run's own take their
    place.
    """
    network = models.build_untrained(run.settings.model, len(data.classes), data.image_shape)
    try:
        network.load_state_dict(read_weights(folder / WEIGHTS_FILE))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise RepriseError(
            f"{folder / WEIGHTS_FILE}: does not fit the run's network ({reason}); delete the folder and "
            "train "
            "again"
        ) from None
    return network


def _evaluate_run(
    run: Run, meta: Mapping[str, Any], data: RunData, folder: Path, device: torch.device
) -> None:
    precision = PRECISIONS.get(meta.get("dtype", ""), torch.float32)
    model = trained_network(run, data, folder)
    place(model, precision, device)  # as the engine has validated it
    predicted, loss = predict(model, data.test, data.preprocess, data.evaluation_batch)
    labels, guesses = data.test.truth.cpu().numpy(), predicted.cpu().numpy()
    train_loss, train_accuracy = evaluate_part(model, data.train, data.preprocess, data.evaluation_batch)
    metrics = classification_metrics(labels, guesses)
    metrics |= {
        "loss": loss,
        **training_metrics(
            read_table(folder / HISTORY, ("epoch", "split", "loss", "accuracy")), meta, metrics["accuracy"]
        ),
        **{f"parameters.{layer}": float(count) for layer, count in models.layer_parameters(model).items()},
        **plain_metrics(train_accuracy, train_loss, metrics["accuracy"]),
    }
    write_table(
        folder / PREDICTIONS,
        pd.DataFrame({"run": run.hash, "image": data.test_images, "label": labels, "predicted": guesses}),
    )
    write_table(
        folder / FINAL,
        pd.DataFrame({"run": run.hash, "metric": list(metrics), "value": list(metrics.values())}),
    )
    write_evaluation_record(folder)
