"""deploy/kustomize renders, grants exactly what the code needs, and the image is locked down."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools.actions
import tools.surroundings
import tools.workloads
from bot.authority.actions import known
from bot.authority.lint import lint
from bot.doctor import clusters
from bot.policy import load as load_policy
from bot.settings import load
from bot.variables import VARIABLES
from tools import remediations
from tools.kube import Kube
from tools.registry import plugins

ROOT = Path(__file__).parents[3]
KUSTOMIZE = ROOT / "deploy" / "kustomize"


def render(name: str) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(KUSTOMIZE / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(scope="module")
def base() -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], re.sub(r"-[a-z0-9]{10}$", "", item["metadata"]["name"])): item for item in render("base")}


def rights(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, kind, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_actor_may_do_exactly_what_the_changes_need(base: dict[tuple[str, str], dict[str, Any]]) -> None:
    found = plugins(tools.actions).values()
    for name, nodes in (("tocsin-actor", False), ("tocsin-actor-nodes", True)):
        verbs = {verb for action in found if getattr(action, "CLUSTER", False) is nodes for verb in action.VERBS}
        assert verbs
        assert rights(base["ClusterRole", name]) == verbs


def test_the_actors_roles_are_written_by_their_script() -> None:
    done = subprocess.run([sys.executable, "-m", "deploy.actor_role", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run: python -m deploy.actor_role"


def test_the_actor_is_bound_nowhere_until_somebody_binds_it(base: dict[tuple[str, str], dict[str, Any]]) -> None:
    bindings = [item for (kind, _), item in base.items() if kind.endswith("Binding")]
    assert [item["roleRef"]["name"] for item in bindings] == ["tocsin-reader"]
    (binding,) = render("acting")
    assert (binding["kind"], binding["roleRef"]["name"]) == ("RoleBinding", "tocsin-actor")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "tocsin-actor", "namespace": "tocsin"}]


def test_the_reader_reads_what_evidence_is_made_of_and_nothing_else(
    base: dict[tuple[str, str], dict[str, Any]],
) -> None:
    granted = rights(base["ClusterRole", "tocsin-reader"])
    read = {
        ("" if path == "/api/v1" else path.split("/")[2], kind)
        for kind, path in (tools.workloads._KINDS | tools.surroundings.KINDS).items()
    }
    read |= {(group, kind) for group, kind, _ in clusters.DELIVERY}
    read.add(("", "namespaces"))  # whose labels the policy's rules and the risk of a change rest on
    logs, settings = ("", "pods/log", "get"), ("", "configmaps", "get")  # by name; no ConfigMap is ever listed
    assert {logs, settings} <= granted
    granted = granted - {logs, settings}
    assert {(group, kind) for group, kind, _ in granted} == read
    assert {verb for _, _, verb in granted} == {"get", "list", "watch"}
    assert {*clusters.READS, *clusters.DELIVERY} == {right for right in granted if right[2] == "list"} | {logs}
    assert not granted & set(clusters.WRITES)


def test_remediations_are_kept_by_a_role_of_their_own_that_the_client_needs_whole() -> None:
    found = {(item["kind"], item["metadata"]["name"]): item for item in render("remediations")}
    assert rights(found["ClusterRole", "tocsin-remediations"]) == set(remediations.RIGHTS)
    assert found["ClusterRoleBinding", "tocsin-remediations"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "tocsin-actor", "namespace": "tocsin"}
    ]
    (version,) = found["CustomResourceDefinition", "remediations.tocsin.dev"]["spec"]["versions"]
    assert (version["name"], version["subresources"]) == (remediations.VERSION, {"status": {}})
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert names == ["Change", "Target", "Risk", "Phase", "Approved by", "Age"]


def test_the_pod_runs_as_the_reader_and_has_the_actors_token_as_a_file(
    base: dict[tuple[str, str], dict[str, Any]],
) -> None:
    pod = base["Deployment", "tocsin"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "tocsin-reader"
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["actor-token"]["secret"]["secretName"] == "tocsin-actor-token"
    assert base["Secret", "tocsin-actor-token"]["metadata"]["annotations"] == {
        "kubernetes.io/service-account.name": "tocsin-actor"
    }
    config = yaml.safe_load(base["ConfigMap", "tocsin-actor-kubeconfig"]["data"]["kubeconfig"])
    assert config["users"][0]["user"] == {"tokenFile": mounts["actor-token"]["mountPath"] + "/token"}
    assert all(mounts[name]["readOnly"] for name in ("policy", "actor-kubeconfig", "actor-token"))
    names = {base["ConfigMap", f"tocsin-{name}"]["metadata"]["name"] for name in ("policy", "actor-kubeconfig")}
    assert {volumes["policy"]["configMap"]["name"], volumes["actor-kubeconfig"]["configMap"]["name"]} == names


async def test_the_official_client_takes_the_actors_kubeconfig(
    base: dict[tuple[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    text = base["ConfigMap", "tocsin-actor-kubeconfig"]["data"]["kubeconfig"]
    (tmp_path / "token").write_text("actor-token-1")
    text = text.replace("/var/run/secrets/tocsin-actor/token", str(tmp_path / "token")).replace(
        "certificate-authority:", "x-ca:"
    )
    (tmp_path / "config").write_text(text)
    kube = Kube(str(tmp_path / "config"))
    assert kube._client.configuration.host == "https://kubernetes.default.svc"
    assert "actor-token-1" in str(kube._client.configuration.api_key)
    await kube.aclose()


def test_the_pod_is_locked_down(base: dict[tuple[str, str], dict[str, Any]]) -> None:
    pod = base["Deployment", "tocsin"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["enableServiceLinks"] is False
    assert container["resources"]["limits"]["memory"]


def test_variables_paths_and_the_shipped_policy_are_ones_the_code_takes(
    base: dict[tuple[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    (container,) = base["Deployment", "tocsin"]["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env.keys() <= VARIABLES.keys()
    assert container["envFrom"] == [{"secretRef": {"name": "tocsin"}}]
    for text in (base["ConfigMap", "tocsin-policy"]["data"]["tocsin.yaml"], (ROOT / "tocsin.example.yaml").read_text()):
        (tmp_path / "tocsin.yaml").write_text(text)
        load({}, tmp_path / "tocsin.yaml")
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    web = (ROOT / "bot" / "web.py").read_text()
    assert all(f'"{path}"' in web for path in paths)


def test_a_drain_never_waits_and_only_the_served_port_is_open(base: dict[tuple[str, str], dict[str, Any]]) -> None:
    labels = base["Deployment", "tocsin"]["spec"]["template"]["metadata"]["labels"]
    for kind, selector in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert base[kind, "tocsin"]["spec"][selector]["matchLabels"].items() <= labels.items()
    assert base["NetworkPolicy", "tocsin"]["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 3000}]}]
    assert base["Service", "tocsin"]["spec"]["selector"].items() <= labels.items()


def test_the_example_names_every_key_of_the_policy() -> None:
    from bot.policy import Policy

    example = yaml.safe_load((ROOT / "tocsin.example.yaml").read_text())
    assert set(example) == set(Policy.model_fields)
    for name in ("channels", "approvers", "changes", "budgets", "model", "approval", "knowledge", "evidence"):
        assert set(example[name]) == set(type(getattr(Policy(), name)).model_fields)


def test_the_examples_policy_has_nothing_that_lint_finds() -> None:
    for name in ("tocsin.example.yaml", "drill/tocsin.yaml"):
        policy, problems = load_policy(ROOT / name)
        assert problems == []
        assert lint(policy, known(), datetime(2026, 11, 23, tzinfo=UTC)) == []


def test_the_image_ends_as_somebody_else_than_root_with_hashes_and_a_health_check() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    final = text.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "/healthz" in final
    installs = re.findall(r"pip install ([^\n\\&]+)", text)
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    for word in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / path).exists() for path in word.split())
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    copied = {
        path.rstrip("/")
        for word in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for path in word.split()
    }
    assert copied <= {line.removeprefix("!") for line in ignored}


def test_the_images_lock_has_what_tocsin_needs_and_no_development_tool() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("runtime_lock", ROOT / "deploy" / "runtime_lock.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = module.closure("tocsin")
    assert {"pydantic", "pydantic-core", "psycopg-binary", "psycopg-pool", "click", "openai", "anyio"} <= names
    assert not names & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "hatchling"}
    lock = (ROOT / "requirements.lock").read_text()
    part = module.subset(lock, names)
    assert part.count("==") == len(names)
    assert all(line in lock for line in part.splitlines())
