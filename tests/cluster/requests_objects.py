"""Requests about any object: creating, reading, replacing, patching, deleting, dry-run, lists, watches; see test_conformance.py."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.cluster.api import APPLY, JSON_PATCH, MERGE, STRATEGIC, Answer, Obj
from tests.cluster.sides import Side, config

CM = "configmaps"


def life(side: Side) -> None:
    """Create, read, replace, delete, and what is refused on the way."""
    one = f"{CM}/one"
    side.ask("create", "POST", CM, config("one", a="1", b="2"))
    side.ask("create what is there", "POST", CM, config("one"))
    side.ask("create without a name", "POST", CM, {"kind": "ConfigMap", "apiVersion": "v1", "data": {}})
    side.ask("create with a bad name", "POST", CM, config("A_b"))
    side.ask("create another kind here", "POST", CM, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}})
    side.ask(
        "create for another namespace", "POST", CM, config("x") | {"metadata": {"name": "x", "namespace": "other"}}
    )
    side.ask("create in no namespace", "POST", "/api/v1/namespaces/no-such-one/configmaps", config("x"))
    side.ask("create from what is no JSON", "POST", CM, "{not json")
    side.ask("create with a wrong type", "POST", CM, config("wrong") | {"data": {"a": 1}})
    side.ask("create with a bad label", "POST", CM, config("l") | {"metadata": {"name": "l", "labels": {"a": "b c"}}})
    side.ask("create by generateName", "POST", CM, {"metadata": {"generateName": "made-", "labels": {"g": "1"}}})
    side.ask("read", "GET", one)
    side.ask("read what is not there", "GET", f"{CM}/none")
    rv = side.quiet("GET", one).body["metadata"]["resourceVersion"]
    uid = side.quiet("GET", one).body["metadata"]["uid"]
    whole: Obj = config("one", a="2")
    side.ask("replace", "PUT", one, whole)
    side.ask("replace by a stale version", "PUT", one, whole | {"metadata": {"name": "one", "resourceVersion": rv}})
    side.ask("replace under another name", "PUT", one, config("two"))
    side.ask("replace what is not there", "PUT", f"{CM}/none", config("none"))
    side.ask("replace another uid", "PUT", one, whole | {"metadata": {"name": "one", "uid": "0000"}})
    side.ask("replace in a dry-run", "PUT", one, config("one", a="9"), dryRun="All")
    side.ask("a dry-run's replace left nothing", "GET", one)
    side.ask("create in a dry-run", "POST", CM, config("dry"), dryRun="All")
    side.ask("a dry-run's create left nothing", "GET", f"{CM}/dry")
    side.ask("create with a wrong dryRun", "POST", CM, config("dry"), dryRun="Some")
    side.ask("delete in a dry-run", "DELETE", one, dryRun="All")
    side.ask("delete in a dry-run by body", "DELETE", one, {"dryRun": ["All"]})
    side.ask("a dry-run's delete left all", "GET", one)
    side.ask("delete another uid", "DELETE", one, {"preconditions": {"uid": "0000"}})
    side.ask("delete another version", "DELETE", one, {"preconditions": {"resourceVersion": rv}})
    side.ask("delete with a wrong policy", "DELETE", one, {"propagationPolicy": "Sometimes"})
    side.ask("delete that uid", "DELETE", one, {"preconditions": {"uid": uid}})
    side.ask("delete what is not there", "DELETE", one)
    side.ask("create again", "POST", CM, config("one"))
    side.ask("a body's options stand alone", "DELETE", one, {"propagationPolicy": "Background"}, dryRun="All")
    side.ask("it is gone", "GET", one)


def finalizers(side: Side) -> None:
    """What is deleted stays until its finalizers are taken away; and nothing new comes into a namespace that goes."""
    held = config("held-on")
    held["metadata"]["finalizers"] = ["tocsin.dev/test"]
    side.ask("create", "POST", CM, held)
    side.ask("delete in a dry-run", "DELETE", f"{CM}/held-on", dryRun="All")
    side.ask("delete", "DELETE", f"{CM}/held-on")
    side.ask("it is there still", "GET", f"{CM}/held-on")
    side.ask("delete again", "DELETE", f"{CM}/held-on")
    side.ask("create again", "POST", CM, held)
    side.ask("change it", "PATCH", f"{CM}/held-on", {"data": {"a": "2"}}, kind=MERGE)
    unmarked = {"metadata": {"deletionTimestamp": None}}
    side.ask("take the deletion back", "PATCH", f"{CM}/held-on", unmarked, kind=MERGE)
    side.ask("let go", "PATCH", f"{CM}/held-on", {"metadata": {"finalizers": None}}, kind=MERGE)
    side.ask("it is gone", "GET", f"{CM}/held-on")
    space = f"{side.namespace}-more"
    path = f"/api/v1/namespaces/{space}"
    labels = {"tocsin.dev/test": side.namespace}
    side.ask("create a namespace", "POST", "/api/v1/namespaces", {"metadata": {"name": space, "labels": labels}})
    side.ask("create in it", "POST", f"{path}/configmaps", config("one"))
    side.ask("delete the namespace", "DELETE", path, fields=("metadata.name", "status.phase"))
    side.ask("read it", "GET", path, fields=("metadata.name", "status.phase"))
    side.ask("create in it when it goes", "POST", f"{path}/configmaps", config("two"))


def immutable(side: Side) -> None:
    """A ConfigMap that may not change, and the patches that are refused."""
    side.ask("create immutable", "POST", CM, config("fixed", a="1") | {"immutable": True})
    side.ask("change immutable", "PATCH", f"{CM}/fixed", {"data": {"a": "2"}}, kind=MERGE)
    side.ask("make it mutable", "PATCH", f"{CM}/fixed", {"immutable": False}, kind=MERGE)
    side.ask("label it", "PATCH", f"{CM}/fixed", {"metadata": {"labels": {"x": "y"}}}, kind=MERGE)


def patches(side: Side) -> None:
    """The patch formats on a ConfigMap."""
    path = f"{CM}/patched"
    side.quiet("POST", CM, config("patched", a="1", b="2"))
    old = side.quiet("GET", path).body["metadata"]
    side.ask("merge", "PATCH", path, {"data": {"c": "3"}}, kind=MERGE)
    side.ask("merge null", "PATCH", path, {"data": {"b": None}}, kind=MERGE)
    side.ask("merge nothing", "PATCH", path, {}, kind=MERGE)
    side.ask(
        "merge stale",
        "PATCH",
        path,
        {"metadata": {"resourceVersion": old["resourceVersion"]}, "data": {"d": "4"}},
        kind=MERGE,
    )
    side.ask("merge another uid", "PATCH", path, {"metadata": {"uid": "0000"}, "data": {"d": "4"}}, kind=MERGE)
    side.ask("merge that uid", "PATCH", path, {"metadata": {"uid": old["uid"]}, "data": {"d": "4"}}, kind=MERGE)
    side.ask("merge the name", "PATCH", path, {"metadata": {"name": "other"}}, kind=MERGE)
    side.ask("merge a wrong type", "PATCH", path, {"data": {"d": 4}}, kind=MERGE)
    side.ask("merge a list", "PATCH", path, [1], kind=MERGE, since=25)
    side.ask("merge no JSON", "PATCH", path, "{", kind=MERGE, since=25)
    side.ask("merge what is not there", "PATCH", f"{CM}/none", {"data": {"a": "1"}}, kind=MERGE)
    side.ask("merge in a dry-run", "PATCH", path, {"data": {"dry": "1"}}, kind=MERGE, dryRun="All")
    side.ask("merge left nothing", "GET", path)
    side.ask("strategic", "PATCH", path, {"data": {"e": "5"}}, kind=STRATEGIC)
    side.ask("strategic replace", "PATCH", path, {"data": {"$patch": "replace", "z": "26"}}, kind=STRATEGIC)
    side.ask("json add", "PATCH", path, [{"op": "add", "path": "/data/f", "value": "6"}], kind=JSON_PATCH)
    side.ask("json replace", "PATCH", path, [{"op": "replace", "path": "/data/f", "value": "7"}], kind=JSON_PATCH)
    side.ask(
        "json test",
        "PATCH",
        path,
        [{"op": "test", "path": "/data/f", "value": "7"}, {"op": "remove", "path": "/data/f"}],
        kind=JSON_PATCH,
    )
    side.ask("json test fails", "PATCH", path, [{"op": "test", "path": "/data/z", "value": "0"}], kind=JSON_PATCH)
    side.ask("json remove nothing", "PATCH", path, [{"op": "remove", "path": "/data/none"}], kind=JSON_PATCH)
    side.ask(
        "json replace nothing",
        "PATCH",
        path,
        [{"op": "replace", "path": "/data/none", "value": "1"}],
        kind=JSON_PATCH,
        dryRun="All",
        since=25,
    )
    side.ask("json copy", "PATCH", path, [{"op": "copy", "from": "/data/z", "path": "/data/y"}], kind=JSON_PATCH)
    side.ask("json move", "PATCH", path, [{"op": "move", "from": "/data/y", "path": "/data/x"}], kind=JSON_PATCH)
    side.ask("json pointer", "PATCH", path, [{"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}}, {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "2"}], kind=JSON_PATCH)  # fmt: skip
    side.ask("json of no list", "PATCH", path, {"op": "add"}, kind=JSON_PATCH)
    side.ask("json unknown op", "PATCH", path, [{"op": "grow", "path": "/data/z"}], kind=JSON_PATCH)
    side.ask("unknown format", "PATCH", path, {"data": {}}, kind="application/json")
    side.ask("patch with a wrong dryRun", "PATCH", path, {"data": {}}, kind=MERGE, dryRun="None")


def apply(side: Side) -> None:
    """Server-side apply: ownership, conflicts, force, what a manager lets go of."""
    path = f"{CM}/applied"

    def body(**data: str) -> Obj:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}

    def ask(label: str, by: str, data: Any, **more: Any) -> None:
        query = {"fieldManager": by} if by else {}
        side.ask(label, "PATCH", path, data, kind=APPLY, **query, **more)

    ask("apply without a manager", "", body(a="1"))
    ask("apply in a dry-run", "one", body(a="1"), dryRun="All")
    side.ask("apply's dry-run left nothing", "GET", path)
    ask("apply creates", "one", body(a="1", b="1"))
    ask("apply the same", "one", body(a="1", b="1"))
    ask("apply one's own other value", "one", body(a="2", b="1"))
    ask("another applies the same value", "two", body(a="2"))
    ask("another applies another value", "two", body(a="3"))
    ask("another applies two other values", "two", body(a="3", b="3"))
    ask("another forces it", "two", body(a="3"), force="true")
    ask("the first conflicts now", "one", body(a="2", b="1"))
    ask("the first lets go of b", "one", body())
    side.ask("b is gone, a stays", "GET", path)
    side.ask("somebody updates", "PATCH", path, {"data": {"a": "9"}}, kind=MERGE, fieldManager="three")
    ask("apply against an update", "two", body(a="4"))
    ask("apply another name", "two", body() | {"metadata": {"name": "other"}})
    ask("apply managedFields", "two", body() | {"metadata": {"name": "applied", "managedFields": [{"manager": "x"}]}})
    ask("apply no kind", "two", {"metadata": {"name": "applied"}})
    ask("apply a list", "two", [1])
    ask("apply stale", "two", body() | {"metadata": {"name": "applied", "resourceVersion": "1"}})
    found = side.quiet("GET", path)
    owners = sorted(
        (row["manager"], row["operation"], sorted(row["fieldsV1"].get("f:data", {})))
        for row in found.body["metadata"]["managedFields"]
    )
    side.note("who owns what", Answer(found.code, {"owners": [[a, b, c] for a, b, c in owners]}))


def lists(side: Side) -> None:
    """Label and field selectors, pages."""
    for number, labels in enumerate(({"t": "a", "n": "1"}, {"t": "a"}, {"t": "b", "n": "2"}, {"t": "c"}, {})):
        side.quiet(
            "POST",
            CM,
            config(f"row-{number}") | {"metadata": {"name": f"row-{number}", "labels": {"set": "rows"} | labels}},
        )
    for selector in (
        "set=rows", "set==rows,t=a", "set=rows,t!=a", "set=rows,t in (a,b)", "set=rows,t notin (a)", "set=rows,n",
        "set=rows,!n", "set=rows,t in (b),n=2", "set=none", "set in (rows), t in (a, c)",
    ):  # fmt: skip
        side.ask(f"list {selector}", "GET", CM, labelSelector=selector)
    for selector in ("t in (a", "t in a", "=x", "a b", "t~a", "t>x"):
        side.ask(f"list by wrong selector {selector}", "GET", CM, labelSelector=selector)
    side.ask("list by name", "GET", CM, fieldSelector="metadata.name=row-1")
    side.ask("list by not name", "GET", CM, fieldSelector="metadata.name!=row-1", labelSelector="set=rows")
    side.ask("list by an unknown field", "GET", CM, fieldSelector="data.a=1")
    side.ask("list by no field", "GET", CM, fieldSelector="metadata.name")
    side.ask("list everywhere", "GET", "/api/v1/configmaps", labelSelector="set=rows")
    side.ask("list in no namespace", "GET", "/api/v1/namespaces/no-such-one/configmaps")
    side.ask("list from the cache", "GET", CM, labelSelector="set=rows", resourceVersion="0")
    first = side.ask("first page", "GET", CM, labelSelector="set=rows", limit="2")
    token = first.body["metadata"].get("continue", "")
    second = side.ask("second page", "GET", CM, labelSelector="set=rows", limit="2", **{"continue": token})
    token = second.body["metadata"].get("continue", "")
    side.ask("last page", "GET", CM, labelSelector="set=rows", limit="2", **{"continue": token})
    side.ask("wrong page", "GET", CM, limit="2", **{"continue": "nonsense"})
    side.ask("wrong limit", "GET", CM, limit="two")
    side.ask("delete some", "DELETE", CM, labelSelector="set=rows,t=a")
    side.ask("the rest", "GET", CM, labelSelector="set=rows")
    side.ask("delete some in a dry-run", "DELETE", CM, labelSelector="set=rows", dryRun="All")
    side.ask("all are left", "GET", CM, labelSelector="set=rows")


def watches(side: Side) -> None:
    """What a watch from a version on says, with and without a selector."""
    start = side.quiet("GET", CM).body["metadata"]["resourceVersion"]
    side.quiet("POST", CM, config("seen") | {"metadata": {"name": "seen", "labels": {"w": "1"}}})
    side.quiet("PATCH", f"{CM}/seen", {"data": {"a": "2"}}, kind=MERGE)
    side.quiet("PATCH", f"{CM}/seen", {"metadata": {"labels": {"w": "2"}}}, kind=MERGE)
    side.quiet("PATCH", f"{CM}/seen", {"metadata": {"labels": {"w": "1"}}}, kind=MERGE)
    side.quiet("POST", CM, config("unseen"))
    side.quiet("DELETE", f"{CM}/seen")
    queries = {
        "watch": {"resourceVersion": start}, "watch labels": {"resourceVersion": start, "labelSelector": "w=1"},
        "watch one": {"resourceVersion": start, "fieldSelector": "metadata.name=seen"},
        "watch from nothing": {"fieldSelector": "metadata.name=unseen"},
    }  # fmt: skip
    with ThreadPoolExecutor(len(queries)) as pool:
        told = pool.map(lambda query: side.apis["admin"].watch(side.path(CM), seconds=1, **query), queries.values())
    for label, events in zip(queries, told, strict=True):
        rows = [
            {"type": each["type"], "data": each["object"].get("data")}
            | {key: each["object"]["metadata"].get(key) for key in ("name", "labels")}
            for each in events
        ]
        side.note(label, Answer(200, {"events": rows}))


def places(side: Side) -> None:
    """Paths: discovery, health, what is not there."""
    side.ask("no such resource", "GET", "/api/v1/nosuch")
    side.ask("no such group", "GET", "/apis/no.such/v1")
    side.ask("no such resource of a group", "GET", "/apis/apps/v1/nosuch")
    side.ask("no such version", "GET", "/apis/apps/v9/deployments")
    side.ask("no such subresource", "GET", f"{CM}/one/scale")
    side.ask("no namespaced nodes", "GET", f"/api/v1/namespaces/{side.namespace}/nodes")
    side.ask("post to an object", "POST", f"{CM}/one", config("one"))
    side.ask("put to a collection", "PUT", CM, config("one"))
    side.ask("patch a collection", "PATCH", CM, {}, kind=MERGE)
    side.ask("healthz", "GET", "/healthz")
    side.ask("livez", "GET", "/livez")
    side.ask("readyz", "GET", "/readyz")
    for path, names in (
        ("/api/v1", ("configmaps", "pods", "pods/log", "pods/eviction", "nodes", "secrets", "namespaces", "events")),
        ("/apis/apps/v1", ("deployments", "deployments/scale", "deployments/status", "replicasets", "statefulsets", "daemonsets")),
        ("/apis/batch/v1", ("jobs", "jobs/status")),
    ):  # fmt: skip
        found = side.quiet("GET", path)
        rows = {
            row["name"]: {key: row.get(key) for key in ("namespaced", "kind", "shortNames")}
            | {"verbs": sorted(row["verbs"])}
            for row in found.body["resources"]
            if row["name"] in names
        }
        side.note(f"discovery of {path}", Answer(found.code, {"rows": rows}))
    group = side.quiet("GET", "/apis/apps")
    side.note(
        "discovery of apps",
        Answer(group.code, {"preferred": group.body.get("preferredVersion"), "name": group.body.get("name")}),
    )


GROUPS = (life, finalizers, immutable, patches, apply, lists, watches, places)
