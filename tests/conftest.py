"""What all tests stand on."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import torch

# A shell that starts the tests in the background has them ignore Ctrl-C, and their subprocesses too; several tests
# press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    """Each test begins with the threads that the process began with: training, agents and workers change them."""
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(THREADS)
