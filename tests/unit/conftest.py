"""What every unit test is promised: the log goes where it went before the test, whatever a command line call bound it to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def log_goes_where_it_went() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
