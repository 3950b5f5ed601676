import os
import subprocess
import sys
from pathlib import Path

import keras_oracle
import pytest


@pytest.fixture(scope="session")
def keras_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what Keras did, in a process of its own (see `keras_oracle`)."""
    folder = tmp_path_factory.mktemp("keras")
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, keras_oracle.__file__, folder],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder
