"""Which tests run beside which, where the runner has two processes (`make test`).

Those that start servers and clients run one after the other in one process, as on a machine of their own; the others are
spread file by file over the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

#: Folders whose tests measure, kill or flood what they started: they stand none of their kind beside them.
ONE_BY_ONE = frozenset({"abuse", "contracts", "functional", "fuzz"})


class OneByOne(LoadScopeScheduling):
    """Gives all tests of those folders to one process; others go file by file."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "one by one" if ONE_BY_ONE.intersection(path.split("/")[:2]) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneByOne:
    return OneByOne(config, log)
