import re

import pytest
import torch

from reprise.errors import RepriseError
from reprise.training.optim import build_optimizer, build_schedule, step_schedule


def parameters():
    return [torch.nn.Parameter(torch.ones(2))]


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        (
            {"name": "adam", "lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-7},
            torch.optim.Adam,
            {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-7},
        ),
        ({"name": "adamw", "lr": 0.01, "weight_decay": 1.0}, torch.optim.AdamW, {"weight_decay": 1.0}),
        (
            {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
            torch.optim.SGD,
            {"momentum": 0.9, "nesterov": True},
        ),
        ({"name": "rmsprop", "lr": 0.1, "alpha": 0.9}, torch.optim.RMSprop, {"alpha": 0.9}),
        ({"name": "sgd", "lr": 1}, torch.optim.SGD, {"lr": 1}),
    ],
)
def test_optimizers(settings, kind, expected):
    optimizer = build_optimizer(settings, parameters())
    assert type(optimizer) is kind
    assert {key: optimizer.param_groups[0][key] for key in expected} == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "adam", "lr": 0.01, "weight_decay": 0.1},
        {"name": "adamw", "lr": 0.01, "amsgrad": True},
        {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
        {"name": "rmsprop", "lr": 0.01},
    ],
    ids=lambda settings: settings["name"],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_steps_are_those_of_torch_as_it_comes(settings, layout):
    """Fused or not, and wherever the weights lie: ten steps on the same gradients."""
    torch.manual_seed(0)
    shape, gradients = (6, 3, 5, 5), torch.randn(10, 6, 3, 5, 5)
    start = torch.randn(shape)
    ours = torch.nn.Parameter(start.clone(memory_format=layout))
    theirs = torch.nn.Parameter(start.clone())
    plain = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    other = plain[settings["name"]](
        [theirs], **{key: value for key, value in settings.items() if key != "name"}, foreach=False
    )
    optimizer = build_optimizer(settings, [ours])
    for gradient in gradients:
        for parameter, made in ((ours, optimizer), (theirs, other)):
            made.zero_grad()
            (parameter * gradient).sum().backward()
            made.step()
    torch.testing.assert_close(ours.detach().contiguous(), theirs.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "adamm", "lr": 0.1}, "optimizer: no optimiser adamm; did you mean adam?"),
        (
            {"name": "sgd", "lr": 0.1, "momentun": 0.9},
            "optimizer: sgd has no parameter momentun; did you mean momentum?",
        ),
        ({"name": "sgd", "params": 1}, "sgd has no parameter params"),
        ({"name": "adam", "lr": -1.0}, "optimizer: adam cannot be made: Invalid learning rate: -1.0"),
    ],
)
def test_optimizer_mistakes(settings, message):
    with pytest.raises(RepriseError, match=re.escape(message)):
        build_optimizer(settings, parameters())


def rates(settings, losses):
    """Learning rate of each epoch, from 1.0."""
    optimizer = build_optimizer({"name": "sgd", "lr": 1.0}, parameters())
    schedule = build_schedule(settings, optimizer, epochs=len(losses))
    found = []
    for loss in losses:
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        step_schedule(schedule, loss)
    return found


@pytest.mark.parametrize(
    ("settings", "losses", "expected"),
    [
        ({}, [1] * 8, [1.0] * 8),
        ({"name": "step", "step": 2, "gamma": 0.5}, [1] * 5, [1, 1, 0.5, 0.5, 0.25]),
        ({"name": "exponential", "gamma": 0.5}, [1] * 3, [1, 0.5, 0.25]),
        ({"name": "cosine"}, [1] * 4, [1, 0.853553, 0.5, 0.146447]),
        ({"name": "cosine", "epochs": 2, "min_lr": 0.2}, [1] * 3, [1, 0.6, 0.2]),
        (
            {"name": "plateau", "factor": 0.1, "patience": 1, "min_lr": 0.05},
            [3, 2, 2, 2, 2, 2, 2],
            [1, 1, 1, 1, 0.1, 0.1, 0.05],
        ),
        # 10 → 9.5 is better by a twentieth, and by .5
        ({"name": "plateau", "patience": 0, "threshold": 0.1}, [10, 9.5, 9], [1, 1, 0.1]),
        (
            {"name": "plateau", "patience": 0, "threshold": 0.1, "threshold_mode": "abs"},
            [10, 9.5, 9],
            [1, 1, 1],
        ),
        (
            {"name": "plateau", "patience": 0, "threshold": 0.6, "threshold_mode": "abs"},
            [10, 9.5, 9.5],
            [1, 1, 0.1],
        ),
    ],
)
def test_schedules(settings, losses, expected):
    assert rates(settings, losses) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "cosin"}, "schedule: no schedule cosin; did you mean cosine?"),
        ({"name": "step", "gama": 0.5}, "schedule: step has no parameter gama; did you mean gamma?"),
        ({"name": "step"}, "schedule: step cannot be made"),
        ({"name": "plateau", "factor": 2.0}, "schedule: plateau cannot be made: Factor should be < 1.0"),
        (
            {"name": "plateau", "threshold_mode": "absolute"},
            "schedule: plateau cannot be made: threshold mode absolute is unknown",
        ),
    ],
)
def test_schedule_mistakes(settings, message):
    with pytest.raises(RepriseError, match=re.escape(message)):
        rates(settings, [1.0])
