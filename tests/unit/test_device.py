"""Which device is worked on."""

import pytest

from neuraltex.core import runtime
from neuraltex.core.errors import UsageError
from neuraltex.core.runtime import resolve_device


@pytest.mark.parametrize("present", [False, True])
def test_the_device_is_found_out(monkeypatch, present) -> None:
    monkeypatch.setattr(runtime, "_has_gpu_driver", lambda: present)
    monkeypatch.setattr(runtime, "_has_cuda", lambda: present)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert resolve_device("auto") == ("cuda:1" if present else "cpu")
    assert resolve_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(runtime, "_has_cuda", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        resolve_device("cuda")
