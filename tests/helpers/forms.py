"""What is there twice is tested twice: in arrays, and compiled where numba is installed."""

from __future__ import annotations

from typing import Any

import pytest


def both_forms(module: Any) -> Any:
    """A fixture for all tests of a file: ``form = both_forms(module)``; the name of the form it gives."""

    @pytest.fixture(params=["compiled", "arrays"], autouse=True)
    def form(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
        if request.param == "compiled" and module.loops is None:
            pytest.skip("numba is not installed")
        if request.param == "arrays":
            monkeypatch.setattr(module, "loops", None)
        return str(request.param)

    return form
