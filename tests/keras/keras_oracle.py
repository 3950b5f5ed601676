"""What Keras does with the networks, penalties and callbacks of reports 3 and 4, saved in the folder given:
weights, losses, defaults.

The tests beside this file run it as a program of its own, because TensorFlow and torch's triton each register
LLVM's options, which ends a process that loads both. Everything is float64, so that rounding hides no
difference of meaning. Networks have no dropout.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

STEPS, BATCH, CLASSES = 20, 16, 20
EXACT = {"learning_rate": 2**-10, "beta_1": 1 - 2**-3, "beta_2": 1 - 2**-10, "epsilon": 2**-23}
"""Near Adam's defaults, but exact in float32, to which Keras rounds β: 1 - β₂ is else 1.3e-5 off, which
training amplifies.
"""
OPTIMIZERS = {
    "adam": ("Adam", {"learning_rate": 1e-3}),
    "exact_adam": ("Adam", EXACT),
    "sgd": ("SGD", {"learning_rate": 1e-3}),
}
NETS = ("basic", "deeper")
WINDOWS = [(kernel, stride) for kernel in (2, 3, 4, 5) for stride in (1, 2)]
RESIDUAL_NETS = [(2, 3), (3, 1), (3, 3), (4, 3), (5, 3)]
"""Kernel and number of blocks."""
RESIDUAL_FILTERS = 3
"""As many as an image has channels, so that the first block's shortcut is the image itself and the others are
projected.
"""
ALPHA, LAMBDA = 2**-2, 2**-3
"""Of the elastic net; exact in float32, to which Keras rounds them."""
PLATEAUS = [
    (patience, factor, min_lr) for patience in (1, 2, 3) for factor, min_lr in ((0.5, 0.0), (0.1, 2e-3))
]
PATIENCES = (1, 2, 3, 5)


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images (N, H, W, C) in [0, 1] that tell their class, and labels (N,)."""
    generator = np.random.default_rng(0)
    prototypes = generator.random((CLASSES, 32, 32, 3))
    for _ in range(STEPS):
        labels = generator.integers(0, CLASSES, BATCH)
        yield 0.7 * prototypes[labels] + 0.3 * generator.random((BATCH, 32, 32, 3)), labels


def windows_image() -> np.ndarray:
    """One image (1, H, W, C) of uneven sides for the check of padding."""
    return np.random.default_rng(1).normal(size=(1, 9, 12, 3))


def loss_curves() -> list[list[float]]:
    """Made-up validation losses by epoch: noise that falls, steps about as large as the callback's min_delta
    of 1e-4, a plateau.
    """
    noise = np.random.default_rng(2).normal(scale=0.1, size=(6, 20))
    falling = 2 * 0.9 ** np.arange(20)
    return [
        *(falling + noise).tolist(),
        (2 - 1.5e-4 * np.arange(20)).tolist(),  # better by more than 1e-4, but less than 1e-4 of the loss
        (0.5 - 0.7e-4 * np.arange(20)).tolist(),  # the other way round
        [1.0] * 20,
    ]


def main(folder: Path) -> None:
    import tensorflow as tf

    import keras

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.backend.set_floatx("float64")
    layers = keras.layers

    def network(name: str) -> Any:
        """Architectures of report 4, parts 1 and 2, layer by layer."""
        repeat = 2 if name == "deeper" else 1
        return keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                *(layers.Conv2D(32, 3, activation="relu", padding="same") for _ in range(repeat)),
                layers.MaxPooling2D(2),
                *(layers.Conv2D(64, 3, activation="relu", padding="same") for _ in range(repeat)),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
                layers.Dense(CLASSES, activation="softmax"),
            ]
        )

    for name in NETS:
        for optimizer, (rule, settings) in OPTIMIZERS.items():
            keras.utils.set_random_seed(0)
            model = network(name)
            model.compile(getattr(keras.optimizers, rule)(**settings), "categorical_crossentropy")
            before, losses = model.get_weights(), []
            for images, labels in batches():
                model.reset_metrics()  # train_on_batch gives a running mean
                losses.append(float(model.train_on_batch(images, np.eye(CLASSES)[labels])))
            arrays = {f"before_{index}": item for index, item in enumerate(before)}
            arrays |= {f"after_{index}": item for index, item in enumerate(model.get_weights())}
            np.savez(folder / f"{name}_{optimizer}.npz", losses=losses, **arrays)

    def residual(kernel: int, blocks: int) -> Any:
        """Report 3's network (`create_resnet_model`, `residual_block`), with He et al.'s blocks."""
        image = values = keras.Input((32, 32, 3))
        for number in range(1, blocks + 1):
            shortcut, filters = values, RESIDUAL_FILTERS * 2 ** (number - 1)
            for place in (1, 2):
                values = layers.Conv2D(filters, kernel, padding="same", name=f"block{number}.conv{place}")(
                    values
                )
                values = layers.BatchNormalization(name=f"block{number}.norm{place}")(values)
                if place == 1:
                    values = layers.ReLU()(values)
            if shortcut.shape[-1] != filters:
                shortcut = layers.Conv2D(filters, 1, name=f"block{number}.projection")(shortcut)
            values = layers.ReLU()(layers.Add()([values, shortcut]))
            values = layers.MaxPooling2D(2)(values)
        output = layers.Dense(CLASSES, activation="softmax", name="output")(layers.Flatten()(values))
        return keras.Model(image, output)

    def by_name(model: Any, prefix: str) -> dict[str, np.ndarray]:
        return {
            f"{prefix}/{layer.name}/{index}": item
            for layer in model.layers
            for index, item in enumerate(layer.get_weights())
        }

    first_images, _ = next(batches())
    for kernel, blocks in RESIDUAL_NETS:
        keras.utils.set_random_seed(0)
        model = residual(kernel, blocks)
        model.compile(keras.optimizers.SGD(learning_rate=1e-2), "categorical_crossentropy")
        arrays, losses = by_name(model, "before"), []
        for images, labels in batches():
            model.reset_metrics()
            losses.append(float(model.train_on_batch(images, np.eye(CLASSES)[labels])))
        outputs = np.asarray(model(first_images, training=False))
        np.savez(
            folder / f"residual_{kernel}_{blocks}.npz",
            losses=losses,
            outputs=outputs,
            **arrays,
            **by_name(model, "after"),
        )

    keras.utils.set_random_seed(0)
    penalty = keras.regularizers.L1L2(l1=LAMBDA * ALPHA, l2=LAMBDA * (1 - ALPHA))
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(8, activation="relu", name="1_dense")]
    )
    model.add(layers.Dense(CLASSES, activation="softmax", kernel_regularizer=penalty, name="2_dense"))
    model.compile(keras.optimizers.SGD(learning_rate=1e-2), "categorical_crossentropy")
    arrays, losses = by_name(model, "before"), []
    for images, labels in batches():
        model.reset_metrics()
        losses.append(float(model.train_on_batch(images, np.eye(CLASSES)[labels])))
    np.savez(folder / "elastic_net.npz", losses=losses, **arrays, **by_name(model, "after"))

    rates, stops = {}, {}
    for index, curve in enumerate(loss_curves()):
        for patience, factor, min_lr in PLATEAUS:
            model.optimizer.learning_rate = 0.01
            callback = keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", patience=patience, factor=factor, min_lr=min_lr
            )
            callback.set_model(model)
            callback.on_train_begin()
            rates[f"{index}/{patience}/{factor}/{min_lr}"] = found = []
            for epoch, loss in enumerate(curve):
                found.append(float(model.optimizer.learning_rate))
                callback.on_epoch_end(epoch, {"val_loss": loss})
        for patience in PATIENCES:
            model.stop_training = False
            callback = keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience)
            callback.set_model(model)
            callback.on_train_begin()
            epochs = 0
            while epochs < len(curve) and not model.stop_training:
                callback.on_epoch_end(epochs, {"val_loss": curve[epochs]})
                epochs += 1
            stops[f"{index}/{patience}"] = epochs
    (folder / "callbacks.json").write_text(json.dumps({"rates": rates, "stops": stops}))

    arrays = {}
    for kernel, stride in WINDOWS:
        conv = layers.Conv2D(4, kernel, stride, padding="same")
        arrays[f"output_{kernel}_{stride}"] = np.asarray(conv(windows_image()))
        arrays[f"kernel_{kernel}_{stride}"] = conv.get_weights()[0]
    np.savez(folder / "windows.npz", **arrays)

    defaults = {"adam": keras.optimizers.Adam().get_config(), "sgd": keras.optimizers.SGD().get_config()}
    (folder / "defaults.json").write_text(json.dumps(defaults, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
