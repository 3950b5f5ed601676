import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

pytest_plugins = ["mirrors"]

# Who starts the tests in the background or with nohup has these ignored, and every process of the tests would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Two torch threads on a shared machine can be many times slower than one."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
