"""The Kubernetes client's answers and errors, over real HTTP."""

import pytest

from tests.unit.tools.fakes import APPS, DROP, HANG, FakeCluster, add_service, kubeconfig, serve, template
from tools.errors import Permanent, Temporary
from tools.kube import JSON_PATCH, Conflict, Forbidden, Invalid, Kube, LostAnswer, NotFound


async def test_reads_raw_json_with_the_kubeconfigs_token(tmp_path):
    seen = {}

    def api(method, path, query, body, headers):
        seen.update({k.lower(): v for k, v in headers.items()}, query=query)
        return 200, {"kind": "Deployment", "metadata": {"name": "a"}}

    with serve(api) as url:
        kube = Kube(kubeconfig(tmp_path, url, "s3cret"))
        assert (await kube.get("/apis/apps/v1/namespaces/x/deployments/a", {"limit": "5"}))["metadata"] == {"name": "a"}
        await kube.aclose()
    assert seen["authorization"] == "Bearer s3cret"
    assert seen["query"] == {"limit": ["5"]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (422, Invalid),
        (400, Permanent),
        (429, Temporary),
        (500, Temporary),
        (503, Temporary),
    ],
)
async def test_each_status_is_an_error_that_says_what_was_tried_and_what_came_back(tmp_path, status, kind):
    with serve(lambda *_: (status, {"message": "because of the moon"})) as url:
        kube = Kube(kubeconfig(tmp_path, url))
        with pytest.raises(kind, match=f"GET /api/v1/pods: HTTP {status}: because of the moon"):
            await kube.get("/api/v1/pods")
        await kube.aclose()


async def test_a_hanging_server_is_temporary(tmp_path):
    with serve(lambda *_: (200, HANG)) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=0.2)
        with pytest.raises(Temporary, match="timed out"):
            await kube.get("/api/v1/pods")
        await kube.aclose()


async def test_a_dropped_answer_to_a_write_is_lost_but_to_a_dry_run_is_not(tmp_path):
    with serve(lambda *_: (200, DROP)) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=1)
        with pytest.raises(LostAnswer, match="may have been made"):
            await kube.patch("/x", [], JSON_PATCH, dry_run=False)
        with pytest.raises(Temporary) as caught:
            await kube.patch("/x", [], JSON_PATCH, dry_run=True)
        assert not isinstance(caught.value, LostAnswer)
        await kube.aclose()


async def test_a_write_is_never_sent_twice(tmp_path):
    sent = []

    def api(method, *_):
        sent.append(method)
        return 503, {"message": "away"}

    with serve(api) as url:
        kube = Kube(kubeconfig(tmp_path, url), timeout_s=1)
        with pytest.raises(LostAnswer):
            await kube.patch("/x", [], JSON_PATCH, dry_run=False)
        await kube.aclose()
    assert sent == ["PATCH"]


async def test_nobody_listening_is_not_a_lost_write(tmp_path):
    with serve(lambda *_: (200, {})) as url:
        pass
    kube = Kube(kubeconfig(tmp_path, url), timeout_s=1)
    with pytest.raises(Temporary, match="cannot connect") as caught:
        await kube.patch("/x", [], JSON_PATCH, dry_run=False)
    assert not isinstance(caught.value, LostAnswer)
    await kube.aclose()


@pytest.mark.parametrize("answer", [b"<html>", b"[1]", b"", b"null", b'"x"', b"\xff\xfe"])
async def test_garbage_is_an_error(tmp_path, answer):
    with serve(lambda *_: (200, answer)) as url:
        kube = Kube(kubeconfig(tmp_path, url))
        with pytest.raises(Temporary, match="the answer is"):
            await kube.get("/api/v1/pods")
        await kube.aclose()


async def test_a_kubeconfig_that_is_not_there_says_so(tmp_path):
    with pytest.raises(Permanent, match="nowhere cannot be used"):
        await Kube(str(tmp_path / "nowhere")).get("/api")


async def test_can_i_and_text_and_dry_run(cluster: FakeCluster, kube: Kube):
    assert await kube.can_i("get", "apps", "deployments")
    assert not await kube.can_i("delete", "apps", "deployments")
    add_service(cluster, "checkout", [template("checkout", "a:1")])
    change = [{"op": "replace", "path": "/spec/replicas", "value": 9}]
    shown = await kube.patch(f"{APPS}/deployments/checkout", change, JSON_PATCH, dry_run=True)
    assert shown["spec"]["replicas"] == 9
    assert cluster.objects[f"{APPS}/deployments/checkout"]["spec"]["replicas"] == 2
    assert cluster.requests[-1][2] == {"dryRun": ["All"], "fieldManager": ["tocsin"]}
    assert '"replicas": 2' in await kube.text(f"{APPS}/deployments/checkout")
