import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

pytest_plugins = ["mirrors"]


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Two torch threads on a shared machine can be many times slower than one."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
