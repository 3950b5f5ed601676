"""Steps recorded as CUDA graphs: one launch instead of some hundred, which are most of the time of a small
network (PyTorch, "CUDA Graphs", whole-network capture).

`torch.compile` is not used: each network and batch size of a search would be compiled anew, for tens of
seconds, and whether a long run of a large network gains more than that has not been measured on a GPU.
"""

import contextlib
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from reprise.errors import RepriseError

WARM_UP = 3
"""Steps that run as usual before one is recorded: they make the optimiser's state and what cuDNN and cuBLAS
keep.
"""

TrainStep = Callable[[Tensor], Tensor]
"""Trains on the images at some places; the batch's loss. See `reprise.training.engine.Step`."""


class RecordingError(RepriseError):
    """CUDA has refused to record a step. With older versions of torch nothing in the process can be trusted
    from then on.
    """


Record = Callable[[Callable[[], None], Sequence[Generator]], Callable[[], None]]
"""Records what a function does on the device, without doing it, and returns what does it again; generators go
on from where they are.
"""


def with_cuda_graph(
    step: TrainStep, batch_size: int, generator: Generator, device: torch.device
) -> TrainStep:
    """On CUDA `step` recorded and replayed, on the CPU `step` itself."""
    if device.type != "cuda":
        return step
    return RecordedStep(step, batch_size, generator, device, record_cuda_graph)


class RecordedStep:
    """A step that is recorded after `WARM_UP` batches of `batch_size` and replayed for those that follow;
    others run as usual.

    What changes between replays lies at a fixed place: the batch's places here, the learning rate in a tensor
    (`build_optimizer`'s `on_cuda`), the generators' state where CUDA keeps it. The loss that a call returns
    holds until the next call.
    """

    def __init__(
        self, step: TrainStep, batch_size: int, generator: Generator, device: torch.device, record: Record
    ) -> None:
        self._step, self._generator, self._record = step, generator, record
        self._places = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._batches = 0
        self._replay: Callable[[], None] | None = None
        self._loss: Tensor

    def __call__(self, places: Tensor) -> Tensor:
        if len(places) != len(self._places):
            return self._step(places)
        self._batches += 1
        if self._batches <= WARM_UP:
            return self._step(places)
        if self._replay is None:
            self._replay = self._record(self._once, [self._generator])
        self._places.copy_(places)
        self._replay()
        return self._loss

    def _once(self) -> None:
        self._loss = self._step(self._places)


def record_cuda_graph(function: Callable[[], None], generators: Sequence[Generator]) -> Callable[[], None]:
    """`Record` on the current stream, which must not be the default one (see `own_stream`). What CUDA refuses
    is a `RecordingError`.
    """
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    try:
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            function()
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise RecordingError(
            f"a training step cannot be recorded as a CUDA graph ({reason}); use --cuda-graphs off"
        ) from error
    return graph.replay


def own_stream(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """On CUDA, a stream of its own for all that the block does, because the default one cannot be
    recorded.
    """
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else contextlib.nullcontext()
