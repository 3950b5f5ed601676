"""Names of report files (axes, their values, cells) as figures print them."""

TERMS = {
    **{name: name.upper() for name in ("cnn", "mlp", "sgd", "vgg16", "vgg19")},
    "adam": "Adam",
    "adamw": "AdamW",
    "cutout": "cut-out",
    "cut_out": "cut-out",
    "l2": "L2 penalty",
    "lr": "learning rate",
    "relu": "ReLU",
    "resnet": "ResNet",
    "resnet18": "ResNet18",
    "rmsprop": "RMSProp",
    "stl10": "STL-10",
    "vit": "ViT",
}
"""Names, or words of them, that the field writes otherwise."""


def written(name: str) -> str:
    """A name in words: `drop_rate` is drop rate, `vgg19_frozen` VGG19 frozen."""
    return TERMS.get(name) or " ".join(TERMS.get(part, part) for part in name.split("_"))


def setting(axis: str, value: str) -> str:
    """A value of an axis in words: `batch size 64`, `augmentation cut-out`."""
    return f"{written(axis)} {written(value)}"
