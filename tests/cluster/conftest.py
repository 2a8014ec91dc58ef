"""One cluster for the whole run: the one we build and start, or (``make test-cluster`` with KUBECONFIG set) somebody's own.

A plain ``pytest`` never reads KUBECONFIG: only ``python -m tests.cluster`` does, and says so by the plug-in Run.
"""

from collections.abc import Iterator

import pytest

from tests.cluster import api, build, kubelet, place, server
from tests.cluster.run import Run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    found = request.config.pluginmanager.get_plugin(Run.NAME)
    return found if isinstance(found, Run) else Run(kubeconfig="")


@pytest.fixture(scope="session")
def cluster(run: Run) -> Iterator[place.Place]:
    if run.kubeconfig:
        with place.made(api.of_kubeconfig(run.kubeconfig)) as made, kubelet.running(made):
            yield made
        return
    programs = build.built()
    if programs is None:
        pytest.skip(f"no API server is built in {build.folder()}: `make test-cluster` builds one; {build.why_not()}")
    with server.running(programs) as admin, place.made(api.of_kubeconfig(str(admin))) as made, kubelet.running(made):
        yield made
