"""The Kubernetes API answers as the real one does: codes, reasons, dry-runs, conflicts, selectors, patches, rights."""

from typing import Any

import httpx
import pytest

from tests.unit.drill_world.conftest import TOKENS, Steps, client_of

APPS = "/kubernetes/apis/apps/v1/namespaces/shop/deployments"
CORE = "/kubernetes/api/v1/namespaces/shop"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}


def refused(answer: httpx.Response, code: int, reason: str) -> str:
    """Check that it is a Status of that kind, and return the message."""
    body = answer.json()
    assert (answer.status_code, body["kind"], body["status"]) == (code, "Status", "Failure"), body
    assert (body["code"], body["reason"]) == (code, reason)
    return str(body["message"])


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_without_a_known_token_nothing_is_told(steps: Steps, token: str) -> None:
    async with client_of(steps.world, token) as client:
        for path in ("/kubernetes/api/v1/pods", "/kubernetes/version", APPS):
            refused(await client.get(path), 401, "Unauthorized")


async def test_the_reader_sees_all_but_secrets_and_changes_nothing(steps: Steps) -> None:
    before = steps.world.cluster.store.version
    async with client_of(steps.world, TOKENS.reader) as client:
        by_name = f"{CORE}/configmaps/shop-settings"  # a ConfigMap is read by its name, and never listed
        for path in (APPS, f"{CORE}/pods", "/kubernetes/api/v1/nodes", f"{CORE}/events", by_name):
            assert (await client.get(path)).status_code == 200
        refused(await client.get(f"{CORE}/configmaps"), 403, "Forbidden")
        message = refused(await client.get(f"{CORE}/secrets"), 403, "Forbidden")
        assert message == (
            'secrets is forbidden: User "system:serviceaccount:tocsin:tocsin-reader" cannot list resource "secrets" '
            'in API group "" in the namespace "shop"'
        )
        refused(await client.get(f"{CORE}/secrets/orders-db"), 403, "Forbidden")
        patch = {"spec": {"replicas": 0}}
        refused(await client.patch(f"{APPS}/checkout", json=patch, headers=MERGE), 403, "Forbidden")
        dry = await client.patch(f"{APPS}/checkout?dryRun=All", json=patch, headers=MERGE)
        refused(dry, 403, "Forbidden")
        refused(await client.delete(f"{CORE}/pods/x"), 403, "Forbidden")
        refused(await client.post(APPS, json={}), 403, "Forbidden")
        refused(await client.put(f"{APPS}/checkout", json={}), 403, "Forbidden")
    assert steps.world.cluster.store.version == before


async def test_the_actor_may_do_what_the_changes_take_and_no_more(steps: Steps) -> None:
    async with client_of(steps.world, TOKENS.actor) as client:
        scaled = await client.patch(f"{APPS}/cart", json={"spec": {"replicas": 3}}, headers=MERGE)
        assert (scaled.status_code, scaled.json()["spec"]["replicas"]) == (200, 3)
        sub = await client.patch(f"{APPS}/cart/scale", json={"spec": {"replicas": 4}}, headers=MERGE)
        assert 'patch resource "deployments/scale" in API group "apps"' in refused(sub, 403, "Forbidden")
        marked = await client.patch(f"{APPS}/cart", json={"metadata": {"annotations": {"a": "b"}}}, headers=MERGE)
        assert marked.json()["metadata"]["annotations"]["a"] == "b"
        refused(await client.delete(f"{APPS}/cart"), 403, "Forbidden")
        pod = steps.pods("cart")[0]["metadata"]["name"]
        refused(await client.patch(f"{CORE}/pods/{pod}", json={}, headers=MERGE), 403, "Forbidden")
        refused(await client.post(f"{CORE}/pods", json={}), 403, "Forbidden")
        refused(await client.get(f"{CORE}/configmaps"), 403, "Forbidden")
        refused(await client.get(f"{CORE}/secrets"), 403, "Forbidden")


@pytest.mark.parametrize(("token", "verb", "resource", "sub", "allowed"), [
    ("reader", "list", "pods", "", True),
    ("reader", "get", "pods", "log", True),
    ("reader", "get", "secrets", "", False),
    ("reader", "patch", "deployments", "", False),
    ("actor", "patch", "deployments", "", True),
    ("actor", "patch", "deployments", "scale", False),
    ("actor", "delete", "deployments", "", False),
])  # fmt: skip
async def test_access_reviews_say_what_holds(
    steps: Steps, token: str, verb: str, resource: str, sub: str, allowed: bool
) -> None:
    group = "apps" if resource == "deployments" else ""
    wanted = {"verb": verb, "group": group, "resource": resource, "subresource": sub, "namespace": "shop"}
    path = "/kubernetes/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    async with client_of(steps.world, getattr(TOKENS, token)) as client:
        answer = await client.post(path, json={"spec": {"resourceAttributes": wanted}})
    assert (answer.status_code, answer.json()["status"]["allowed"]) == (201, allowed)


async def test_a_dry_run_in_the_query_does_not_count_beside_a_body(steps: Steps, admin: httpx.AsyncClient) -> None:
    """As the real API server does: DELETE reads its options from the body, or else from the query."""
    del steps
    gone = await admin.request("DELETE", f"{APPS}/checkout?dryRun=All", json={"propagationPolicy": "Background"})
    assert gone.status_code == 200
    assert (await admin.get(f"{APPS}/checkout")).status_code == 404


async def test_a_dry_run_shows_the_result_and_leaves_nothing(steps: Steps, admin: httpx.AsyncClient) -> None:
    before = (await admin.get(f"{APPS}/checkout")).json()
    version = steps.world.cluster.store.version
    patch = {"spec": {"replicas": 9}}
    shown = (await admin.patch(f"{APPS}/checkout?dryRun=All", json=patch, headers=STRATEGIC)).json()
    assert shown["spec"]["replicas"] == 9
    assert shown["metadata"]["generation"] == before["metadata"]["generation"] + 1
    scaled = await admin.patch(f"{APPS}/checkout/scale?dryRun=All", json=patch, headers=MERGE)
    assert scaled.json()["spec"]["replicas"] == 9
    body = before | {"metadata": {"name": "other", "namespace": "shop"}, "status": {}}
    assert (await admin.post(f"{APPS}?dryRun=All", json=body)).status_code == 201
    assert (await admin.delete(f"{APPS}/checkout?dryRun=All")).status_code == 200
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}
    assert (await admin.request("DELETE", f"{APPS}/checkout", json=options)).status_code == 200
    applied = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "checkout"},
        "spec": {"paused": True},
    }
    assert (
        await admin.patch(f"{APPS}/checkout?dryRun=All&fieldManager=x", json=applied, headers=APPLY)
    ).status_code == 200
    assert steps.world.cluster.store.version == version
    assert (await admin.get(f"{APPS}/checkout")).json() == before
    refused(await admin.get(f"{APPS}/other"), 404, "NotFound")
    refused(await admin.patch(f"{APPS}/checkout?dryRun=Some", json=patch, headers=MERGE), 422, "Invalid")


@pytest.mark.parametrize("headers", [STRATEGIC, MERGE])
async def test_a_stale_resource_version_is_a_conflict(admin: httpx.AsyncClient, headers: dict[str, str]) -> None:
    old = (await admin.get(f"{APPS}/cart")).json()
    await admin.patch(f"{APPS}/cart", json={"metadata": {"labels": {"x": "1"}}}, headers=headers)
    stale = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"], "labels": {"x": "2"}}}
    message = refused(await admin.patch(f"{APPS}/cart", json=stale, headers=headers), 409, "Conflict")
    assert message == (
        'Operation cannot be fulfilled on deployments.apps "cart": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    refused(await admin.put(f"{APPS}/cart", json=old), 409, "Conflict")
    scale = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "spec": {"replicas": 1}}
    refused(await admin.patch(f"{APPS}/cart/scale", json=scale, headers=MERGE), 409, "Conflict")
    tests = [{"op": "test", "path": "/metadata/resourceVersion", "value": old["metadata"]["resourceVersion"]}]
    refused(await admin.patch(f"{APPS}/cart", json=tests, headers=JSON), 422, "Invalid")
    wrong_uid = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}
    refused(await admin.patch(f"{APPS}/cart", json=wrong_uid, headers=headers), 422, "Invalid")  # as a real server
    fresh = (await admin.get(f"{APPS}/cart")).json()
    stale["metadata"]["resourceVersion"] = fresh["metadata"]["resourceVersion"]
    assert (await admin.patch(f"{APPS}/cart", json=stale, headers=headers)).status_code == 200


async def test_patches_merge_as_their_kind_says(admin: httpx.AsyncClient) -> None:
    path = f"{APPS}/checkout?dryRun=All"
    containers = [{"name": "checkout", "env": [{"name": "PAYMENT_URL", "value": "http://x"}]}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    merged = (await admin.patch(path, json=patch, headers=STRATEGIC)).json()["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in merged[0]["env"]}
    assert env["PAYMENT_URL"] == "http://x"
    assert env["CART_URL"] == "http://cart:8080"
    assert merged[0]["image"].endswith("checkout:v1")
    gone = {"name": "checkout", "env": [{"name": "CART_URL", "$patch": "delete"}]}
    patch = {"spec": {"template": {"spec": {"containers": [gone]}}}}
    merged = (await admin.patch(path, json=patch, headers=STRATEGIC)).json()["spec"]["template"]["spec"]["containers"]
    assert "CART_URL" not in {each["name"] for each in merged[0]["env"]}
    message = refused(await admin.patch(path, json={"spec": {"template": {"spec": {"containers": containers}}}},
                                        headers=MERGE), 422, "Invalid")  # fmt: skip
    assert "spec.template.spec.containers[0].image: Required value" in message
    operations = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "a:b"}]
    patched = (await admin.patch(path, json=operations, headers=JSON)).json()
    assert patched["spec"]["template"]["spec"]["containers"][0]["image"] == "a:b"
    missing = [{"op": "replace", "path": "/spec/nowhere/deep", "value": 1}]
    refused(await admin.patch(path, json=missing, headers=JSON), 422, "Invalid")
    refused(await admin.patch(path, content=b"{", headers=MERGE), 400, "BadRequest")
    odd = await admin.patch(path, json={}, headers={"Content-Type": "application/json"})
    refused(odd, 415, "UnsupportedMediaType")


@pytest.mark.parametrize(("patch", "words"), [
    ({"spec": {"replicas": -1}}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ({"spec": {"selector": {"matchLabels": {"app": "other"}}}}, "field is immutable"),
    ({"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}}, "`selector` does not match template `labels`"),
    ({"spec": {"template": {"spec": {"containers": []}}}}, "containers: Required value"),
])  # fmt: skip
async def test_what_cannot_be_is_invalid(admin: httpx.AsyncClient, patch: dict[str, Any], words: str) -> None:
    assert words in refused(await admin.patch(f"{APPS}/cart", json=patch, headers=MERGE), 422, "Invalid")


async def test_selectors_and_pages(admin: httpx.AsyncClient) -> None:
    async def names(path: str, **params: str) -> list[str]:
        answer = await admin.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return [item["metadata"]["name"] for item in answer.json()["items"]]

    pods = f"{CORE}/pods"
    assert len(await names(pods, labelSelector="app=checkout")) == 3
    assert len(await names(pods, labelSelector="app in (cart, payment)")) == 4
    assert len(await names(pods, labelSelector="app notin (checkout,invoicing),app!=cart")) == 8
    assert await names(pods, labelSelector="!app") == []
    assert len(await names(pods, labelSelector="app.kubernetes.io/part-of")) == 17
    one = (await names(pods))[0]
    assert await names(pods, fieldSelector=f"metadata.name={one}") == [one]
    assert await names(pods, fieldSelector="status.phase!=Running") == []
    first = (await admin.get("/kubernetes/api/v1/pods", params={"limit": "5"})).json()
    assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (5, 14)
    rest = await names("/kubernetes/api/v1/pods", **{"continue": first["metadata"]["continue"]})
    assert len(rest) == 14
    refused(await admin.get(pods, params={"labelSelector": "a b"}), 400, "BadRequest")


async def test_wrong_addresses_and_methods(admin: httpx.AsyncClient) -> None:
    assert refused(await admin.get(f"{APPS}/nope"), 404, "NotFound") == 'deployments.apps "nope" not found'
    refused(await admin.get("/kubernetes/apis/apps/v1/namespaces/shop/nothings"), 404, "NotFound")
    refused(await admin.post(f"{APPS}/cart", json={}), 405, "MethodNotAllowed")
    deployment = (await admin.get(f"{APPS}/cart")).json()
    again = {"metadata": {"name": "cart"}, "spec": deployment["spec"]}
    assert refused(await admin.post(APPS, json=again), 409, "AlreadyExists") == 'deployments.apps "cart" already exists'
    lost = "/kubernetes/apis/apps/v1/namespaces/nowhere/deployments"
    refused(await admin.post(lost, json=again | {"metadata": {"name": "x"}}), 404, "NotFound")


async def test_server_side_apply_keeps_owners_apart(admin: httpx.AsyncClient) -> None:
    def body(**spec: Any) -> dict[str, Any]:
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart"}, "spec": spec}

    url = f"{APPS}/cart?fieldManager="
    mine = await admin.patch(url + "one", json=body(replicas=4, paused=False), headers=APPLY)
    assert (mine.status_code, mine.json()["spec"]["replicas"]) == (200, 4)
    answer = await admin.patch(url + "two", json=body(replicas=5), headers=APPLY)
    message = refused(answer, 409, "Conflict")
    assert message == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
    assert answer.json()["details"]["causes"][0]["field"] == ".spec.replicas"
    forced = await admin.patch(url + "two&force=true", json=body(replicas=5), headers=APPLY)
    assert forced.json()["spec"]["replicas"] == 5
    owners = {row["manager"]: row["fieldsV1"] for row in forced.json()["metadata"]["managedFields"]}
    assert owners["two"] == {"f:spec": {"f:replicas": {}}}
    assert owners["one"] == {"f:spec": {"f:paused": {}}}
    dropped = await admin.patch(url + "one", json=body(), headers=APPLY)
    assert "paused" not in dropped.json()["spec"]
    refused(await admin.patch(f"{APPS}/cart", json=body(), headers=APPLY), 422, "Invalid")
