"""Heavy libraries imported at their first use, from whichever thread that is: one thread at a time.

Called by the clients (tools/kube.py, tools/prometheus.py) and by bot/compose.py for the model's library. Two threads that import
modules of one package from different ends (``requests`` and ``requests.utils``) wait for each other; Python then breaks the
tie by handing one of them a half-initialised module, which ends in an ImportError.
"""

import importlib
import threading
from collections.abc import Callable

_ONE_AT_A_TIME = threading.RLock()


def load(*names: str) -> None:
    """Import the modules *names*; free when they are imported already."""
    with _ONE_AT_A_TIME:
        for name in names:
            importlib.import_module(name)


def alone(work: Callable[[], None]) -> None:
    """Run *work*, which imports, while no other thread does."""
    with _ONE_AT_A_TIME:
        work()
