"""Fixtures that several test files use."""

import os
from pathlib import Path

import pytest

from service_kit.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own `YIJU_*` settings, but for those that name test servers."""
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Default settings with a data folder of this test's own."""
    return load_settings(data=tmp_path / "data")
