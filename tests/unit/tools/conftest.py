"""Fixtures for the tests of tools: a cluster, its clients, and a scope about the service checkout."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.tools.fakes import FakeCluster, kubeconfig, serve
from tools.kube import Kube
from tools.records import Alert, Scope


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def cluster_url(cluster: FakeCluster) -> Iterator[str]:
    with serve(cluster) as url:
        yield url


@pytest.fixture
async def kube(cluster_url: str, tmp_path: Path) -> AsyncIterator[Kube]:
    client = Kube(kubeconfig(tmp_path, cluster_url), timeout_s=5)
    yield client
    await client.aclose()


@pytest.fixture
def scope() -> Scope:
    now = datetime.now(UTC)
    start = now - timedelta(seconds=30)
    labels = {"alertname": "HighErrorRate", "service": "checkout", "namespace": "shop"}
    alert = Alert(
        fingerprint="f", sender="alertmanager", name="HighErrorRate", status="firing", service="checkout",
        namespace="shop", starts_at=start, labels=labels,
    )  # fmt: skip
    return Scope(
        alert=alert, service="checkout", namespace="shop", start=start - timedelta(minutes=30), end=now,
        logs_start=start - timedelta(minutes=5),
    )  # fmt: skip
