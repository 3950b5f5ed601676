"""What Keras does: train report 4's networks without dropout and save weights, losses and defaults in the folder given.

`test_keras_fidelity.py` runs this as a program of its own, because TensorFlow and torch's triton each register LLVM's options,
which ends a process that loads both. Everything is float64, so that rounding hides no difference of meaning.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

STEPS, BATCH, CLASSES = 20, 16, 20
EXACT = {"learning_rate": 2**-10, "beta_1": 1 - 2**-3, "beta_2": 1 - 2**-10, "epsilon": 2**-23}
"""Near Adam's defaults, but exact in float32, to which Keras rounds β: 1 - β₂ is else 1.3e-5 off, which training amplifies."""
OPTIMIZERS = {"adam": ("Adam", {"learning_rate": 1e-3}), "exact_adam": ("Adam", EXACT), "sgd": ("SGD", {"learning_rate": 1e-3})}
NETS = ("basic", "deeper")
WINDOWS = [(kernel, stride) for kernel in (2, 3, 4, 5) for stride in (1, 2)]


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
