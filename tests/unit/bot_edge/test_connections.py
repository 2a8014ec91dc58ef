"""How servers and clusters are reached: variables, tocsin.yaml, what comes first, and mistakes that would mix clusters up."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot import toolbox
from bot.settings import Settings, SettingsError, load
from tools.errors import Permanent
from tools.records import Alert

TWO = """
default_cluster: eu1
cluster_labels: [k8s_cluster, cluster]
clusters:
  eu1:
    also_called: [prod-eu]
    prometheus: {url: "http://prom.eu1:9090"}
    kube: {kubeconfig: eu1.kubeconfig}
    actor: {kubeconfig: eu1-actor.kubeconfig}
  us1:
    prometheus: {url: "http://prom.us1:9090", tenant: us}
    kube: {kubeconfig: both.kubeconfig, context: us1}
    actor: {kubeconfig: us1-actor.kubeconfig}
"""


def given(folder: Path, text: str = "", **env: str) -> Settings:
    file = folder / "tocsin.yaml"
    file.write_text(text)
    return load({"HOME": str(folder), **env}, file)


def problems(folder: Path, text: str, **env: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        given(folder, text, **env)
    return [problem.removeprefix(f"{folder / 'tocsin.yaml'}: ") for problem in caught.value.problems]


def test_a_variable_comes_before_the_file_and_a_cluster_before_both(tmp_path):
    text = """
sources:
  prometheus: {url: "http://file:9090", tenant: from-file, token_env: SHARED_TOKEN}
  tempo: {url: "http://tempo:3200"}
clusters:
  eu1: {}
  us1: {prometheus: {url: "http://us1:9090"}, jaeger: {url: "http://jaeger:16686"}}
"""
    settings = given(tmp_path, text, PROMETHEUS_URL="http://variable:9090", SHARED_TOKEN="s3cret")
    eu1, us1 = settings.clusters["eu1"].servers, settings.clusters["us1"].servers
    assert (eu1["prometheus"].url, eu1["prometheus"].access.headers) == (
        "http://variable:9090",
        {"X-Scope-OrgID": "from-file"},
    )
    assert eu1["prometheus"].access.authorization() == "Bearer s3cret"
    assert (us1["prometheus"].url, us1["prometheus"].access.authorization()) == ("http://us1:9090", "")
    assert sorted(us1) == ["jaeger", "prometheus"]  # its own trace store stands for the shared one
    assert sorted(eu1) == ["prometheus", "tempo"]
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("kind", ["PROMETHEUS", "LOKI", "ELASTICSEARCH", "JAEGER", "TEMPO", "ALERTMANAGER"])
def test_every_server_takes_the_same_variables(kind, tmp_path):
    (tmp_path / "password").write_text("from-file\n")
    env = {
        f"{kind}_URL": "https://host/prefix", f"{kind}_TENANT": "a|b", f"{kind}_USER": "u",
        f"{kind}_PASSWORD_FILE": str(tmp_path / "password"), f"{kind}_SERVER_NAME": "name", f"{kind}_INSECURE": "false",
    }  # fmt: skip
    access = given(tmp_path, **env).clusters[""].servers[kind.lower()].access
    assert access.headers == {"X-Scope-OrgID": "a|b"}
    assert access.authorization() == "Basic " + base64.b64encode(b"u:from-file").decode()
    assert (access.tls.server_name, access.tls.insecure) == ("name", False)


def test_elasticsearch_by_api_key_comes_before_user_and_password(tmp_path):
    env = {"ELASTICSEARCH_URL": "http://e:9200", "ELASTICSEARCH_USER": "u", "ELASTICSEARCH_PASSWORD": "p"}
    assert given(tmp_path, **env).clusters[""].servers["elasticsearch"].access.authorization() == "Basic dTpw"
    keyed = given(tmp_path, **env, ELASTICSEARCH_API_KEY="k==", ELASTICSEARCH_INDEX="logs-*").clusters[""]
    assert keyed.servers["elasticsearch"].access.authorization() == "ApiKey k=="
    assert toolbox.elastic_of(keyed).index == "logs-*"


def test_one_cluster_without_a_name_stays_as_it_was(tmp_path):
    settings = given(tmp_path, PROMETHEUS_URL="http://p:9090", KUBECONFIG="in-cluster", TOCSIN_ACTOR_KUBECONFIG="/a")
    assert list(settings.clusters) == [""]
    clusters = toolbox.clusters_of(settings)
    assert clusters.of(alert(cluster="whatever")) == ""
    assert toolbox.actors_of(settings).for_alert(alert(cluster="whatever")).cluster == ""


def alert(**labels: str) -> Alert:
    return Alert(fingerprint="f", sender="s", name="A", status="firing", labels=labels, starts_at=datetime.now(UTC))


def test_the_alert_says_its_cluster_by_the_configured_labels(tmp_path):
    clusters = toolbox.clusters_of(given(tmp_path, TWO))
    assert clusters.of(alert(k8s_cluster="us1", cluster="eu1")) == "us1"
    assert clusters.of(alert(cluster="prod-eu")) == "eu1"
    assert clusters.of(alert()) == "eu1"
    assert clusters.of(alert().model_copy(update={"cluster": "us1"})) == "us1"
    with pytest.raises(Permanent, match=r'no cluster is called "ap9"; .* eu1, us1'):
        clusters.of(alert(cluster="ap9"))


def test_without_a_default_an_alert_that_names_none_is_nobodys(tmp_path):
    clusters = toolbox.clusters_of(given(tmp_path, TWO.replace("default_cluster: eu1", "")))
    with pytest.raises(Permanent, match=r"names no cluster .*set default_cluster"):
        clusters.of(alert())


def test_each_name_has_its_own_clients(tmp_path):
    settings = given(tmp_path, TWO)
    views, actors = toolbox.views_of(settings, lambda: datetime.now(UTC)), toolbox.actors_of(settings)
    assert [views.of(name).prometheus.url for name in ("eu1", "us1")] == [
        "http://prom.eu1:9090",
        "http://prom.us1:9090",
    ]
    assert [views.of(name).kube.cluster for name in ("eu1", "us1")] == ["eu1", "us1"]
    assert settings.clusters["us1"].context == "us1"
    assert settings.clusters["us1"].kubeconfig == str(tmp_path / "both.kubeconfig")
    assert actors.of("us1").cluster == "us1"
    with pytest.raises(Permanent, match="no actor identity"):
        actors.of("")


MISTAKES = {
    "a secret in the file": (
        'sources: {prometheus: {url: "http://p:9090", token: hunter2}}',
        'sources.prometheus.token is unknown; did you mean "token_env"?',
    ),
    "a variable that is not set": (
        'sources: {loki: {url: "http://l:3100", token_env: NOT_THERE}}',
        "sources.loki.token_env: NOT_THERE is not set; set it, or name a file in token_file",
    ),
    "a key without its certificate": (
        'sources: {loki: {url: "https://l:3100", key_file: k.pem}}',
        "sources.loki: key_file without cert_file; name the certificate that it belongs to",
    ),
    "both trust and none": (
        'sources: {loki: {url: "https://l:3100", insecure: true, ca_file: ca.pem}}',
        "sources.loki: insecure takes any certificate, so ca_file and server_name mean nothing; remove one or the other",
    ),
    "a server without an address": (
        "clusters: {eu1: {prometheus: {tenant: a}}}",
        "clusters.eu1.prometheus: has no url; add it",
    ),
    "one actor for two clusters": (
        "clusters: {eu1: {actor: {kubeconfig: a}}, us1: {actor: {kubeconfig: a}}}",
        "clusters.us1.actor: is the same kubeconfig and context as clusters.eu1.actor; each cluster needs its own",
    ),
    "an unknown default": (
        "default_cluster: eu2\nclusters: {eu1: {}}",
        'default_cluster: no cluster is called "eu2"; did you mean "eu1"?',
    ),
    "one name for two": (
        "clusters: {eu1: {also_called: [prod]}, us1: {also_called: [prod]}}",
        'clusters: "prod" means two clusters; give each its own name',
    ),
    "a name that cannot be one": (
        'clusters: {"eu 1": {}}',
        'clusters.eu 1: "eu 1" is not a cluster\'s name; write letters, digits, dots, dashes and underscores (eu1)',
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_remedy(text, said, tmp_path):
    found = problems(tmp_path, text)
    assert found == [said]
    assert "hunter2" not in str(found)


def test_a_context_is_demanded_where_the_kubeconfig_is_shared(tmp_path):
    text = "clusters: {eu1: {kube: {}}, us1: {kube: {context: us1}}}"
    assert problems(tmp_path, text, KUBECONFIG="/k") == [
        "clusters.eu1.kube: names no context of KUBECONFIG, so it could be any cluster; name it"
    ]
    assert "names no kubeconfig and KUBECONFIG is not set" in problems(tmp_path, text)[0]


def test_a_ca_file_that_is_none_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    (said,) = problems(tmp_path, 'sources: {tempo: {url: "https://t:3200", ca_file: ca.pem}}')
    assert said.startswith(f"sources.tempo: ca_file {tmp_path / 'ca.pem'}: no certificates can be read from it")


def test_a_repository_of_images_takes_its_token_from_a_variable(tmp_path):
    text = """
sources:
  repositories:
    - {image: ghcr.io/acme/shop, github: acme/shop, tag: "v{tag}", token_env: GITHUB_TOKEN}
clusters: {eu1: {repositories: [{image: reg/cart, gitlab: acme/cart, url: "https://git.acme"}]}, us1: {}}
"""
    settings = given(tmp_path, text, GITHUB_TOKEN="s3cret")
    own, shared = toolbox.views_of(settings, lambda: datetime.now(UTC)).of("eu1").repositories
    assert (own.host, own.project, own.url) == ("gitlab", "acme/cart", "https://git.acme")
    assert (shared.project, shared.tag, shared.access.authorization()) == ("acme/shop", "v{tag}", "Bearer s3cret")
    assert "s3cret" not in repr(settings)
    assert problems(tmp_path, text) == [
        "sources.repositories.0.token_env: GITHUB_TOKEN is not set; set it, or name a file in token_file"
    ]
    (said,) = problems(tmp_path, "sources: {repositories: [{image: a}]}")
    assert "needs exactly one of github and gitlab" in said
