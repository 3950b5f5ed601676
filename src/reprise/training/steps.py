"""One step of training, and how it runs on each kind of device.

A step gathers a batch by index, augments and normalises it, and moves the weights once. It never looks at a
value on the host and leaves its sums on the device, so on CUDA the whole of it can be recorded as a graph
once and replayed: one launch instead of some hundred, which are most of the time of a small network (PyTorch,
"CUDA Graphs", whole-network capture).

`torch.compile` is not used: each network and batch size of a search would be compiled anew, for tens of
seconds, and whether a long run of a large network gains more than that has not been measured on a GPU.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reprise.errors import RepriseError, nearest
from reprise.extensions import NETWORKS
from reprise.training.parts import Part
from reprise.training.regularization import Penalty

WARM_UP = 3
"""Steps that run as usual before one is recorded: they make the optimiser's state and what cuDNN and cuBLAS
keep.
"""

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_precision(name: str, family: str, device: torch.device) -> torch.dtype:
    """What matrix products are made in: `float32`, `bfloat16`, or with `auto` bfloat16 for `large`
    families on CUDA alone (`reprise.models.families.Family`).

    Weights, optimiser, batch statistics and losses are float32 in any case (torch's autocast), and so is
    evaluation.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and NETWORKS.find(family).large else torch.float32
    if name not in PRECISIONS:
        raise RepriseError(f"precision {name!r} is not known{nearest(name, ['auto', *PRECISIONS])}")
    return PRECISIONS[name]


def precision_name(precision: torch.dtype) -> str:
    """`float32` or `bfloat16`, as records have it."""
    return str(precision).removeprefix("torch.")


UNSAFE_BELOW = 16
"""Input channels of a strided 1×1 convolution from which the CPU's kernels for channels last are safe: the
largest block of a kernel.
"""


def memory_format(network: nn.Module, precision: torch.dtype, device: torch.device) -> torch.memory_format:
    """How the images and convolutions of `network` lie in memory: channels last where it is faster and safe.

    It is faster with the CPU's kernels (1 to 1.7 times) and with bfloat16's on CUDA. A network without
    convolutions has nothing to gain.

    On the CPU a network with a strided 1×1 convolution of few input channels stays contiguous. For it, in
    channels last, the gradient of the weights is written past oneDNN's workspace when the channels do not
    fill a block of the kernel (8 with AVX2, 16 with AVX-512): the process crashes, hangs, or goes on with
    wrong gradients (oneDNN 3.13 in torch 2.15; uxlfoundation/oneDNN issue 6035).
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        return torch.contiguous_format
    if device.type == "cpu":
        return (
            torch.contiguous_format
            if any(map(_unsafe_in_channels_last, convolutions))
            else torch.channels_last
        )
    return torch.channels_last if precision == torch.bfloat16 else torch.contiguous_format


def _unsafe_in_channels_last(convolution: nn.Conv2d) -> bool:
    pointwise, strided = set(convolution.kernel_size) == {1}, set(convolution.stride) != {1}
    return pointwise and strided and convolution.in_channels // convolution.groups < UNSAFE_BELOW


@dataclass(frozen=True, eq=False)
class Feed:
    """What is trained and what goes into it: the whole network and images or, where the rest is frozen, its
    head and features.
    """

    network: nn.Module
    train: Part
    validation: Part
    prepare: Callable[[Tensor], Tensor]
    """Inputs as they lie on the device → what the network takes, in evaluation."""
    prepare_training: Callable[[Tensor, Generator, Tensor | None], Tensor]
    """The same with augmentation: of all, or of those for which a bool tensor (N,) holds."""
    penalty: Penalty | None


class Step:
    """One step of the optimiser for each batch, and the sums over them.

    Parameters ---------- generator: of the augmentation, on the data's device. keep_originals: an epoch has
    every image twice; places from the number of images on are those of the augmented ones. precision: as
    `choose_precision` gives it.
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
        return self._correct.item()

    def __call__(self, places: Tensor) -> Tensor:
        """Train on the images at `places` (N,); the batch's mean cross-entropy as the network was before."""
        loss = self.forward(places)
        self._optimizer.zero_grad()
        (loss if self._feed.penalty is None else loss + self._feed.penalty()).backward()
        self._optimizer.step()
        return loss.detach()

    def forward(self, places: Tensor) -> Tensor:
        """The batch's mean cross-entropy, which also goes into the sums."""
        augmented, images = None, len(self._feed.train)
        if self._keep_originals:
            places, augmented = places % images, places >= images
        inputs, labels = self._feed.train.batch(places)
        inputs = self._feed.prepare_training(inputs, self._generator, augmented)
        if self._format == torch.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=self._format)
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
    except (
        ValueError
    ) as error:  # batch normalisation cannot train on one value per channel, as the last batch may have
        reason = f"a batch of {len(inputs)} does not fit the network ({' '.join(str(error).split())})"
        raise RepriseError(f"{reason}; set training.drop_last or another training.batch_size") from None


# ---- CUDA graphs ----


class RecordingError(RepriseError):
    """CUDA has refused to record a step. With older versions of torch nothing in the process can be trusted
    from then on.
    """


Record = Callable[[Callable[[], None], Sequence[Generator]], Callable[[], None]]
"""Records what a function does on the device, without doing it, and returns what does it again; generators go
on from where they are.
"""


class RecordedStep:
    """A step that is recorded after `WARM_UP` batches of `batch_size` and replayed for those that follow;
    others run as usual.

    What changes between replays lies at a fixed place: the batch's places here, the learning rate in a tensor
    (`build_optimizer`'s `on_cuda`), the generators' state where CUDA keeps it. The loss that a call returns
    holds until the next call.
    """

    def __init__(
        self, step: Step, batch_size: int, generator: Generator, device: torch.device, record: Record
    ) -> None:
        self._step, self._generator, self._record = step, generator, record
        self._places = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._batches = 0
        self._replay: Callable[[], None] | None = None
        self._loss: Tensor

    def __call__(self, places: Tensor) -> Tensor:
        """As `Step`."""
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
