"""Fixtures that several test files use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_kit.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own `YIJU_*` settings, but for those that name test servers."""
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv(f"{PREFIX}EMBEDDER", "none")  # tests of vectors ask for them


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Default settings with a data folder of this test's own."""
    return load_settings(data=tmp_path / "data")


@pytest.fixture(scope="module")
def one_compute_thread() -> Iterator[None]:
    """For what is computed here to compare with: two threads on a busy machine wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
