"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a failure that comes and goes helps nobody.
settings.register_profile("eanet", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("eanet")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; the test is skipped where there is none."""
    folder = Path(os.environ.get("EANET_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder}; set EANET_TEST_DATA to a folder that has them")
    return folder
