"""`tocsin inspect`: files as kubectl prints them, exit codes, and inputs that are no Kubernetes objects."""

import json
from datetime import timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.__main__ import app
from tests.unit.analyzers.samples import NOW, cond, ended, event, obj, pod, waiting, workload
from tests.unit.analyzers.test_policies import tls
from tools.inspect import NotObjects, inspect, read

CRASH = pod(ready=False, state=waiting("CrashLoopBackOff"), last=ended("OOMKilled", 137), restarts=6)


def run(*args: str, stdin: str | None = None):
    return CliRunner().invoke(app, ["inspect", *args], input=stdin)


def listed(*items):
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(CRASH),
        yaml.safe_dump(listed(CRASH)),
        json.dumps(listed(CRASH)),
        yaml.safe_dump_all([workload(), CRASH, None]),
        yaml.safe_dump(
            {"apiVersion": "v1", "kind": "PodList", "items": [{k: v for k, v in CRASH.items() if k != "kind"}]}
        ),
    ],
    ids=["object", "list", "json", "documents", "typed-list"],
)
def test_every_form_is_read(text):
    done = run("-f", "-", stdin=text)
    assert done.exit_code == 1
    assert done.stdout.startswith("Pod/shop/cart-1  oom_killed [critical]: CrashLoopBackOff")
    assert len(done.stdout.splitlines()) == 1


def test_files_are_taken_together_and_json_tells_all(tmp_path):
    one, two = tmp_path / "pods.yaml", tmp_path / "events.json"
    one.write_text(yaml.safe_dump(pod(ready=False)))
    two.write_text(json.dumps(listed(event("Pod", "cart-1", "Unhealthy", "Readiness probe failed: refused"))))
    done = run("-f", str(one), "-f", str(two), "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["objects"] == 2
    assert [(each["condition"], each["namespace"], each["severity"]) for each in found["findings"]] == [
        ("probe_failing", "shop", "warning")
    ]
    assert set(found["findings"][0]) == {"kind", "namespace", "name", "condition", "severity", "why", "do", "at"}


def test_healthy_objects_are_nothing_found(tmp_path):
    (tmp_path / "ok.yaml").write_text(yaml.safe_dump(listed(pod(), workload())))
    done = run("-f", str(tmp_path / "ok.yaml"))
    assert (done.exit_code, done.stdout) == (0, "nothing found (2 objects)\n")
    assert run("-f", "-", stdin="apiVersion: v1\nkind: List\nitems: []\n").stdout == "nothing found (0 objects)\n"


def test_notes_are_no_problems():
    cron = yaml.safe_dump(obj("CronJob", "load", spec={"schedule": "@daily", "suspend": True}))
    quiet = run("-f", "-", stdin=cron)
    assert (quiet.exit_code, quiet.stdout) == (0, "nothing found (1 objects; notes: 1, shown by --notes)\n")
    told = run("-f", "-", "--notes", stdin=cron)
    assert (told.exit_code, told.stdout.split()[1]) == (0, "cronjob_suspended")
    kept = json.loads(run("-f", "-", "--json", stdin=cron).stdout)
    assert (kept["findings"], [each["condition"] for each in kept["notes"]]) == ([], ["cronjob_suspended"])


def test_one_object_of_a_wrong_shape_does_not_hide_the_others():
    wrong = obj("Service", "bad", spec={"selector": {"a": "b"}, "ports": 3}) | {
        "metadata": {"name": "bad", "labels": 3}
    }
    found = inspect(
        read(
            [
                (
                    "x",
                    json.dumps(
                        [
                            CRASH,
                            {"kind": "HorizontalPodAutoscaler", "apiVersion": "v1", "spec": {"scaleTargetRef": 3}},
                            wrong,
                        ]
                    ),
                )
            ]
        )
    )
    assert {each.condition for each in found} == {"oom_killed", "not_judged", "no_endpoints"}


def test_a_stored_certificate_is_compared_with_the_clock_and_not_with_the_time_it_was_stored():
    stored = json.dumps(
        tls(-1) | {"metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-09-01T00:00:00Z"}}
    )
    assert [each.condition for each in inspect(read([("x", stored)], today=NOW))] == ["certificate_expired"]
    assert inspect(read([("x", stored)], today=NOW - timedelta(days=60))) == []


def test_a_file_is_judged_at_its_own_time_unless_told_otherwise():
    waits = yaml.safe_dump(pod(ready=False, since=30, age=300))
    assert run("-f", "-", stdin=waits).exit_code == 0
    assert run("-f", "-", "--now", "2026-11-24T20:00:00Z", stdin=waits).exit_code == 1


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "",
        "hello",
        "- 1",
        "{}",
        "a: 1",
        "kind: 3",
        "kind: Pod",
        '{"kind": "Pod"',
        "\x00",
        "&a [*a]",
        "apiVersion: v1\nkind: Pod\nmetadata: 3",
    ],
)
def test_what_is_no_kubernetes_object_is_one_sentence(text):
    done = run("-f", "-", stdin=text)
    assert done.exit_code == 2, done.output
    assert len(done.stderr.splitlines()) == 1
    assert "standard input" in done.stderr


def test_a_missing_file_and_a_wrong_time_are_told():
    assert "cannot be read" in run("-f", "/nowhere/x.yaml").stderr
    assert "is no time" in run("-f", "-", "--now", "soon", stdin=yaml.safe_dump(pod())).stderr


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just("2026-11-23T20:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["spec", "status", "metadata", "conditions", "containerStatuses", "state", "name", "replicas", "type", "data", "rules", "items", "template"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
KINDS = st.sampled_from(
    [
        "Pod",
        "Deployment",
        "Job",
        "CronJob",
        "Service",
        "Ingress",
        "Node",
        "Secret",
        "Event",
        "ResourceQuota",
        "Certificate",
        "List",
    ]
)


@given(
    st.lists(
        st.fixed_dictionaries({"apiVersion": st.just("v1"), "kind": KINDS, "spec": JSON, "status": JSON, "data": JSON}),
        max_size=4,
    )
)
def test_objects_of_any_shape_are_judged_or_refused_in_a_sentence(items):
    try:
        found = inspect(read([("x", json.dumps(items))]))
    except NotObjects:
        return
    assert all(each.why and each.remedy and each.kind for each in found)


def test_seconds_old_objects_in_a_dump_are_fresh():
    young = pod(
        phase="Pending",
        age=2,
        conditions=[cond("PodScheduled", "False", "Unschedulable", "0/3 nodes", at=2)],
        containerStatuses=[],
    )
    later = event("Node", "n1", "Starting", "up", ns="", at=0, type_="Normal")
    assert run("-f", "-", stdin=yaml.safe_dump(listed(young, later))).exit_code == 0
