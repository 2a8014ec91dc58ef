"""`tocsin inspect` of a cluster: pages, what may not be read or fails is said and costs nothing else, nothing at all is an error."""

from urllib.parse import quote

import pytest

from tests.unit.analyzers.samples import NOW, pod, waiting
from tests.unit.tools.fakes import kubeconfig, serve
from tools.errors import TocsinError
from tools.inspect import cluster, inspect
from tools.kube import Kube

BAD = pod(ready=False, state=waiting("ImagePullBackOff"))
PAGES = {"": ([pod("cart-0")], quote("next")), quote("next"): ([BAD], "")}


def _said(code, reason):
    return code, {"kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code}


def _api(method, path, query, body, headers):
    assert method == "GET"
    if path.endswith("/pods"):
        assert query["limit"] == ["500"]
        items, more = PAGES[query.get("continue", [""])[0]]
        return 200, {"kind": "PodList", "items": items, "metadata": {"continue": more} if more else {}}
    if path.endswith("/secrets"):
        return _said(403, "Forbidden")
    if path.endswith("/jobs"):
        return _said(500, "InternalError")
    return _said(404, "NotFound")


async def test_what_cannot_be_read_is_said_and_the_rest_is_judged(tmp_path):
    unread = []
    with serve(_api) as url:
        kube = Kube(str(kubeconfig(tmp_path, url)), None)
        try:
            objects = await cluster(kube, "shop", NOW, unread.append)
        finally:
            await kube.aclose()
    assert len(objects.items) == 2
    assert [(each.name, each.condition) for each in inspect(objects)] == [("cart-1", "image_pull")]
    assert len(unread) == 2
    assert any("secrets" in each for each in unread)
    assert any("jobs" in each for each in unread)
    assert not objects.listed("Secret", "shop")


async def test_a_cluster_that_answers_nothing_is_an_error_and_not_healthy(tmp_path):
    with serve(lambda *_: _said(500, "InternalError")) as url:
        kube = Kube(str(kubeconfig(tmp_path, url)), None)
        try:
            with pytest.raises(TocsinError):
                await cluster(kube, "shop", NOW, lambda _: None, kinds={"pods", "services"})
        finally:
            await kube.aclose()
