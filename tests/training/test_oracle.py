"""The engine against a plain loop: DataLoader, torchvision image by image, torch.optim."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from reprise.data.augment import Jitter, build_augmentation
from reprise.data.decode import load
from reprise.training.engine import train
from reprise.training.seeds import derive
from tiny import tiny_run, write_dataset

EPOCHS, BATCH = 5, 32  # 150 images: 25 steps, the last batch of an epoch has 22
STEPS = [
    {"flip": 0.5},
    {"vertical_flip": 0.3},
    {"crop": 2},
    {"rotation": 15},
    {"resized_crop": {"scale": [0.5, 1.0]}},
    {"jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}},
    {"erasing": 0.5},
]


def change(name, image, parameters):
    """One image changed by torchvision with parameters that the engine's operation has drawn."""
    match name, parameters:
        case "flip", {"flip": flip}:
            return TF.hflip(image) if flip else image
        case "vertical_flip", {"flip": flip}:
            return TF.vflip(image) if flip else image
        case "crop", {"top": top, "left": left}:
            return TF.crop(TF.pad(image, 2), top, left, *image.shape[1:])
        case "rotation", {"angle": angle}:
            return TF.rotate(image, angle, InterpolationMode.NEAREST)
        case "resized_crop", {"top": top, "left": left, "height": height, "width": width}:
            return TF.resized_crop(image, top, left, height, width, list(image.shape[1:]), antialias=True)
        case "jitter", {"order": order}:
            for index in order:
                kind = Jitter(1, 1, 1, 1).active[index]
                image = getattr(TF, f"adjust_{kind}")(image, parameters[kind])
            return image
        case "erasing", {"erase": erase, "top": top, "left": left, "height": height, "width": width}:
            return TF.erase(image, top, left, height, width, torch.zeros(1, 1, 1)) if erase else image
    raise AssertionError(name)


class Images(Dataset):
    """What the loop sees in one epoch: images in the epoch's order, with that epoch's augmentation."""

    def __init__(self, dataset, augmentation, epoch):
        self.images, self.labels = dataset.splits["train"].images, dataset.splits["train"].labels[:, 1]
        self.order = torch.randperm(
            len(self.images), generator=torch.Generator().manual_seed(derive(0, "order", epoch))
        ).tolist()
        generator = torch.Generator().manual_seed(derive(0, "augmentation", epoch))
        operations = build_augmentation(augmentation).operations
        self.changes = []
        for start in range(0, len(self.order), BATCH):
            shape = torch.Size((min(BATCH, len(self.order) - start), *self.images.shape[1:]))
            drawn = [operation.draw(shape, generator) for operation in operations]
            for place in range(shape[0]):
                self.changes.append(
                    [
                        {key: value[place].tolist() for key, value in parameters.items()}
                        for parameters in drawn
                    ]
                )
        self.names = [next(iter(step)) for step in augmentation]

    def __len__(self):
        return len(self.order)

    def __getitem__(self, place):
        image = TF.convert_image_dtype(torch.tensor(self.images[self.order[place]]), torch.float32)
        for name, parameters in zip(self.names, self.changes[place], strict=True):
            image = change(name, image, parameters)
        return TF.normalize(image, [0.5] * 3, [0.5] * 3), int(self.labels[self.order[place]])


def plain_loop(dataset, optimizer, augmentation):
    torch.manual_seed(derive(0, "init"))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 4))
    optimizer = optimizer(model.parameters())
    criterion = nn.CrossEntropyLoss()
    losses = []
    for epoch in range(1, EPOCHS + 1):
        for images, labels in DataLoader(Images(dataset, augmentation, epoch), batch_size=BATCH):
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize("augmentation", [[], STEPS], ids=["plain", "augmented"])
@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({"name": "adam", "lr": 0.003}, lambda parameters: torch.optim.Adam(parameters, lr=0.003)),
        (
            {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
            lambda parameters: torch.optim.SGD(
                parameters, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01
            ),
        ),
    ],
    ids=["adam", "sgd"],
)
def test_losses_of_every_step(tmp_path, settings, optimizer, augmentation):
    folder = write_dataset(tmp_path / "data")
    run = tiny_run(
        optimizer=settings,
        augmentation=augmentation,
        preprocess={"normalize": "half"},
        training__epochs=EPOCHS,
    )
    losses = []
    train(
        [run],
        dataset_dirs={"cifar10": folder},
        cache=tmp_path,
        device="cpu",
        on_step=lambda epoch, step, loss: losses.append(loss.item()),
    )
    expected = plain_loop(load(folder), optimizer, augmentation)
    assert len(losses) == 25
    assert losses == pytest.approx(expected, abs=1e-5)
    assert losses[-1] < losses[0], "nothing was learned, so nothing was tested"
