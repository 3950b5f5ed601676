"""Layer tables, read from the network as it runs: the reports' tables of architectures and diagrams of
networks.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from reprise.models import build_untrained, parameter_count
from reprise.models.blocks import SameConv2d

LayerRow = dict[str, Any]


def describe(model: nn.Module, image_shape: tuple[int, int, int]) -> list[LayerRow]:
    """One row per layer, in the order in which one image of `image_shape` (C, H, W) passes through them in
    inference mode.

    A row has `layer` (text, e.g. `conv 3×3, 32, same`), `kind` (as in the family `sequential`, else the
    module's class), `activation` (applied to the layer's output, or None), `output_shape` (without the
    batch), `parameters` and `name`, its place in the network (as in the names of its parameters; empty for a
    sum). An activation that directly follows a convolution, batch normalisation, dense layer or sum is part
    of that row. A residual sum has a row of kind `add` where it is made in place, as in torchvision's and
    timm's residual networks and the family `residual`. The rows' parameters add up to the network's: those
    that a compound module owns itself (a class token, say) get a row of kind `parameter`, and a layer that
    runs twice counts once.
    """
    rows: list[LayerRow] = []
    names = {module: name for name, module in model.named_modules()}
    counted: set[int] = set()
    outputs: dict[
        int, tuple[torch.Tensor, int]
    ] = {}  # by id, with the version as the layer left it, which counts changes in place
    previous: torch.Tensor | None = None

    def add(
        layer: str, kind: str, activation: str | None, shape: torch.Size, parameters: int, name: str = ""
    ) -> None:
        facts = {
            "layer": layer,
            "kind": kind,
            "activation": activation,
            "output_shape": list(shape),
            "parameters": parameters,
        }
        rows.append({"name": name, **facts})

    def passed(value: torch.Tensor) -> None:
        nonlocal previous
        outputs[id(value)] = value, value._version
        previous = value

    def before_layer(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and id(inputs[0]) in outputs and inputs[0]._version != outputs[id(inputs[0])][1]:
            add("add", "add", None, inputs[0].shape[1:], 0)
            passed(inputs[0])

    def before_compound(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if id(module) not in counted:
            counted.add(id(module))
            for name, item in module.named_parameters(recurse=False):
                add(
                    name,
                    "parameter",
                    None,
                    item.shape,
                    item.numel(),
                    ".".join(filter(None, [names[module], name])),
                )

    def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        kind, text = _text(module)
        output = output[0] if isinstance(output, tuple) else output
        if (
            kind == "activation"
            and rows
            and rows[-1]["kind"] in ("conv", "batch_norm", "dense", "add")
            and inputs[0] is previous
        ):
            rows[-1]["activation"] = text
        elif kind != "identity":
            parameters = 0 if id(module) in counted else parameter_count(module)
            add(
                text,
                kind,
                text if kind == "activation" else None,
                output.shape[1:],
                parameters,
                names[module],
            )
        counted.add(id(module))
        passed(output)

    modes = {module: module.training for module in model.modules()}
    handles = []
    for module in model.modules():
        if _is_layer(module):
            handles += [module.register_forward_pre_hook(before_layer), module.register_forward_hook(after)]
        else:
            handles.append(module.register_forward_pre_hook(before_compound))
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *image_shape, device=device))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return rows


def layer_table(spec: Mapping[str, Any], classes: int, image_shape: tuple[int, int, int]) -> dict[str, Any]:
    """The layer table of the network `spec`: `model`, `classes`, `image_shape`, `rows` as in `describe`,
    `parameters` in all.

    No weight file is read: pretrained weights do not change the table.
    """
    model = build_untrained(spec, classes, image_shape)
    rows = describe(model, image_shape)
    return {
        "model": spec,
        "classes": classes,
        "image_shape": image_shape,
        "rows": rows,
        "parameters": parameter_count(model),
    }


def _is_layer(module: nn.Module) -> bool:
    """Attention counts as one layer: it uses its inner linear layer's weights without calling it."""
    return isinstance(module, nn.MultiheadAttention) or next(module.children(), None) is None


def _text(module: nn.Module) -> tuple[str, str]:
    """Kind and text of a layer."""
    name = type(module).__name__
    match module:
        case nn.Conv2d():
            return "conv", ", ".join(
                [
                    f"conv {_square(module.kernel_size)}",
                    str(module.out_channels),
                    *_convolution_options(module),
                ]
            )
        case nn.Linear():
            return "dense", f"dense {module.out_features}"
        case nn.MaxPool2d() | nn.AvgPool2d():
            return "pool", ", ".join(
                [f"{name[:3].lower()} pool {_square(module.kernel_size)}", *_pool_options(module)]
            )
        case nn.AdaptiveMaxPool2d() | nn.AdaptiveAvgPool2d():
            return "pool", f"adaptive {name[8:11].lower()} pool {_square(module.output_size)}"
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return "batch_norm", "batch norm"
        case nn.Dropout():
            return "dropout", f"dropout {module.p:g}"
        case nn.Dropout2d():
            return "dropout2d", f"2-D dropout {module.p:g}"
        case nn.Flatten():
            return "flatten", "flatten"
        case nn.MultiheadAttention():
            return "attention", f"attention, {module.num_heads} heads"
    if type(module).__module__ == nn.ReLU.__module__:
        return "activation", name.lower()
    return name.lower(), name


def _square(size: int | tuple[int | None, ...] | None) -> str:
    return "×".join(str(length) for length in (size if isinstance(size, tuple) else (size, size)))


def _convolution_options(module: nn.Conv2d) -> list[str]:
    kernel, stride, padding = module.kernel_size[0], module.stride[0], module.padding
    options = [f"stride {stride}"] if stride != 1 else []
    if isinstance(module, SameConv2d) or (
        stride == 1 and padding == tuple(size // 2 for size in module.kernel_size) and kernel % 2 == 1
    ):
        options.append("same")
    else:
        options.append(f"padding {padding[0]}" if padding[0] else "valid")
    return [*options, f"{module.groups} groups"] if module.groups > 1 else options


def _pool_options(module: nn.MaxPool2d | nn.AvgPool2d) -> list[str]:
    options = [f"stride {module.stride}"] if module.stride != module.kernel_size else []
    return [*options, f"padding {module.padding}"] if module.padding else options
