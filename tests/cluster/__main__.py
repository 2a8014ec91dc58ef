"""``make test-cluster``: the suite against a real API server; against the cluster of $KUBECONFIG when that is set.

The last line is ``changes=.. conformance=..%``: changes that were made and verified, and the share of the compared requests
that the practice API answered as the real one does. ``--if-possible`` (make test): a machine that can neither find nor build
a server says why and fails nothing.
"""

import os
import sys

import pytest

from tests.cluster import build
from tests.cluster.run import Run


def main() -> int:
    """Return pytest's exit code, or 3 (0 with ``--if-possible``) when there is no server to run against."""
    given = [each for each in sys.argv[1:] if each != "--if-possible"]
    kubeconfig = os.environ.get("KUBECONFIG", "")
    if kubeconfig:
        sys.stdout.write(f"Running against the cluster of {kubeconfig}, in a namespace of its own.\n")
    elif build.main():
        sys.stdout.write("changes=0 conformance=none (no API server to run against)\n")
        return 0 if len(given) < len(sys.argv) - 1 else 3
    sys.stdout.flush()
    run = Run(kubeconfig=kubeconfig)

    class Plugin:
        """Registers *run* under its name."""

        @staticmethod
        def pytest_configure(config: pytest.Config) -> None:
            config.pluginmanager.register(run, Run.NAME)

    code = int(pytest.main(["-q", "tests/cluster", *given], plugins=[Plugin()]))
    for name, why in sorted(run.skipped.items()):
        sys.stdout.write(f"skipped {name}: {why}\n")
    sys.stdout.write("".join(f"{note}\n" for note in run.notes))
    sys.stdout.write(f"requests compared: {run.compared}, answered the same: {run.same}\n{run.line()}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
