"""Settings and policy: what is accepted, and that every problem is named with its remedy, all at once."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot import connections
from bot.policy import Policy
from bot.settings import Settings, SettingsError, load
from bot.variables import VARIABLES

SLACK = {"SLACK_BOT_TOKEN": "xoxb-12-secret", "SLACK_APP_TOKEN": "xapp-1-secret", "HOME": "/home/me"}


NO_APPROVER = (
    "is not a Slack id; write a member id (U..., from the profile's menu: Copy member ID) or a user group id (S...)"
)


def policy(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "tocsin.yaml"
    file.write_text(text)
    return load({}, file)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        policy(tmp_path, text)
    return [problem.removeprefix(f"{tmp_path / 'tocsin.yaml'}: ") for problem in caught.value.problems]


def test_two_slack_tokens_are_enough_to_serve() -> None:
    settings = load(SLACK, need_slack=True)
    assert settings.slack_mode == "socket"
    assert settings.data_dir == Path("/home/me/.local/share/tocsin")
    assert (settings.listen_host, settings.listen_port) == ("127.0.0.1", 3000)
    assert not settings.model_configured
    assert settings.policy.approvers_of("checkout") == ()


def test_a_signing_secret_without_an_app_token_means_http() -> None:
    assert load({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s"}, need_slack=True).slack_mode == "http"


def test_every_variable_reaches_its_field(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text("")
    given_values = {
        **dict.fromkeys(VARIABLES, "x"),
        **dict.fromkeys((name for name in VARIABLES if name.endswith("_URL")), "http://host:1/v"),
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": "xapp-1",
        "TOCSIN_SLACK_MODE": "http",
        "DATABASE_URL": "postgresql://u:p@h/d",
        "REDIS_URL": "redis://h",
        "TOCSIN_LISTEN": "[::1]:80",
        "TOCSIN_LOG_LEVEL": "debug",
        "TOCSIN_LOG_FORMAT": "json",
        "TOCSIN_CONFIG": str(tmp_path / "tocsin.yaml"),
        "TOCSIN_WEBHOOK_TOKENS": "grafana=x,datadog=y",
        "KAFKA_SERVERS": "kafka-1:9092",
        "KAFKA_PROTOCOL": "SASL_SSL",
        "KAFKA_MECHANISM": "SCRAM-SHA-256",
        **dict.fromkeys((name for name in VARIABLES if name.endswith("_INSECURE")), "false"),
    }
    settings, defaults = load(given_values), Settings(data_dir=Path("/h"))
    same = [name for name in Settings.model_fields if getattr(settings, name) == getattr(defaults, name)]
    assert same == ["policy", "notes"]


def test_all_problems_come_at_once_with_key_value_and_remedy() -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            {
                "SLACK_BOT_TOKEN": "xapp-swapped-with-the-other",
                "PROMETHEUS_URL": "prom:9090",
                "TOCSIN_LISTEN": "80",
                "REDIS_URL": "h",
            },
            need_slack=True,
        )
    found = caught.value.problems
    assert [problem.split("=")[0].split()[0] for problem in found] == [
        "SLACK_BOT_TOKEN",
        "REDIS_URL",
        "PROMETHEUS_URL",
        "TOCSIN_LISTEN",
        "SLACK_APP_TOKEN",
    ]
    assert found[0].startswith('SLACK_BOT_TOKEN="xapp-..." is not a bot token: it begins with xoxb-')
    assert found[2] == 'PROMETHEUS_URL="prom:9090" is not an address; write for example http://prometheus:9090'
    assert str(caught.value) == "\n".join(found)


@given(secret=st.text(st.characters(categories=["Lu", "Nd"]), min_size=8, max_size=60))
def test_no_secret_is_shown_in_an_error_or_a_repr(secret: str) -> None:
    assume(secret not in repr(Settings(data_dir=Path("/h"))))  # hypothesis also tries the words of our own source
    names = [
        name
        for name, (field, _) in VARIABLES.items()
        if connections.secret(name)
        or (Settings.model_fields.get(field) and Settings.model_fields[field].annotation is SecretStr)
    ]
    assert len(names) > 8
    bad = {
        "SLACK_BOT_TOKEN": secret,
        "SLACK_APP_TOKEN": secret,
        "DATABASE_URL": f"mysql://root:{secret}@h",
        "REDIS_URL": f"x://:{secret}@h",
    }
    with pytest.raises(SettingsError) as caught:
        load(bad)
    assert len(caught.value.problems) == 4
    assert secret not in str(caught.value)
    good = {name: secret for name in names if name not in bad} | {"DATABASE_URL": f"postgresql://u:{secret}@h/d"}
    good["TOCSIN_WEBHOOK_TOKENS"] = f"grafana={secret}"
    assert secret not in repr(load(good | {"OPENAI_MODEL": "m"}))


@pytest.mark.parametrize(
    ("environ", "model", "base"),
    [
        ({"OPENAI_API_KEY": "k"}, "gpt-4.1-mini", "https://api.openai.com/v1"),
        ({"OPENAI_BASE_URL": "http://ollama:11434/v1/", "OPENAI_MODEL": "qwen3"}, "qwen3", "http://ollama:11434/v1"),
        ({"OPENAI_BASE_URL": "http://e/v1", "OPENAI_EMBEDDING_MODEL": "e5"}, "", "http://e/v1"),
        ({}, "", "https://api.openai.com/v1"),
    ],
)
def test_which_model_is_asked(environ: dict[str, str], model: str, base: str) -> None:
    settings = load(environ)
    assert (settings.openai_model, settings.openai_base_url) == (model, base)


def test_embeddings_use_the_models_endpoint_unless_told_otherwise() -> None:
    settings = load({"OPENAI_API_KEY": "k", "OPENAI_EMBEDDING_MODEL": "e"})
    assert settings.embeddings_configured
    assert (settings.embedding_base_url, settings.embedding_api_key.get_secret_value()) == (
        "https://api.openai.com/v1",
        "k",
    )


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"OPENAI_BASE_URL": "http://ollama/v1"}, "OPENAI_MODEL"),
        ({"OPENAI_MODEL": "x"}, "OPENAI_API_KEY"),
        ({"TOCSIN_CONFIG": "/nowhere.yaml"}, "TOCSIN_CONFIG"),
        ({"TOCSIN_SLACK_MODE": "pigeon"}, "socket, http"),
    ],
)
def test_what_cannot_be_guessed_is_asked_for(environ: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load(environ)


def test_a_misspelt_variable_is_noted_and_kubernetes_own_are_not() -> None:
    settings = load(
        {"TOCSIN_WEBHOK_TOKEN": "x", "TOCSIN_PORT": "tcp://10.0.0.1:3000", "TOCSIN_SERVICE_HOST": "10.0.0.1"}
    )
    assert settings.notes == (
        "TOCSIN_WEBHOK_TOKEN is not a variable of Tocsin and is ignored; did you mean TOCSIN_WEBHOOK_TOKEN?",
    )


def test_blank_means_unset() -> None:
    assert load({"PROMETHEUS_URL": "  ", "OPENAI_API_KEY": ""}).clusters[""].servers == {}


def test_an_empty_file_is_a_policy_in_which_nobody_may_approve(tmp_path: Path) -> None:
    assert policy(tmp_path, "# nothing yet\n").policy == Policy()


def test_a_policy_is_read(tmp_path: Path) -> None:
    found = policy(
        tmp_path,
        """
        channels: {watch: ["#alerts", C0123456], default: oncall}
        services:
          checkout: {namespace: shop, depends_on: [payment], channel: shop-alerts}
          payment:
        approvers: {default: [U111, S222], services: {payment: [U333]}}
        knowledge: {runbooks: runbooks}
        """,
    ).policy
    assert found.channels.watch == ("alerts", "C0123456")
    assert (found.service("checkout").deployment, found.service("elsewhere").deployment) == ("checkout", "elsewhere")
    assert (found.channel_of("checkout"), found.channel_of("payment")) == ("shop-alerts", "oncall")
    assert (found.approvers_of("checkout"), found.approvers_of("payment")) == (("U111", "S222"), ("U333",))
    assert found.knowledge.runbooks == str(tmp_path / "runbooks")


def test_policy_problems_come_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    text = """
    chanels: {}
    channels: {watch: [No, Alerts!], default: "two words"}
    services: {pay: {namespce: shop, namespace: Shop}}
    approvers: {default: ["@bob"]}
    budgets: {seconds: -1}
    """
    assert problems(tmp_path, text) == [
        "channels.watch.0: False is not text; put it in quotes",
        'channels.watch.1: "Alerts!" is not a channel; write its name in lower case (alerts) or its id (C0123456789)',
        'channels.default: "two words" is not a channel; write its name in lower case (alerts) or its id (C0123456789)',
        'services.pay.namespace: "Shop" is not a Kubernetes name; write lower-case letters, digits and dashes',
        'services.pay.namespce is unknown; did you mean "namespace"?',
        f'approvers.default.0: "@bob" {NO_APPROVER}',
        "budgets.seconds: -1 is wrong: input should be greater than 0",
        'chanels is unknown; did you mean "channels"?',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: {a: {}, b: {}, a: {}}", 'is not YAML: "a" stands twice'),
        ("a: [", "is not YAML"),
        ("- a", "holds a list; write keys such as channels: and services:"),
        ("services: {pay: {depends_on: [pay]}}", 'services.pay.depends_on: "pay" depends on itself; remove it'),
        (
            "services: {pay: }\napprovers: {services: {pya: [U11]}}",
            'approvers.services.pya: no service of that name under services; did you mean "pay"?',
        ),
        ("approval: {verify_deadline_seconds: 5}", "make it longer"),
    ],
)
def test_contradictions_and_broken_files(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(tmp_path, text)
    assert problem in found


@given(text=st.text(alphabet="abcdefgh:{}[]\"'-&*!|> \n#,", max_size=60))
def test_any_file_gives_a_policy_or_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text)
    try:
        assert isinstance(load({}, file).policy, Policy)
    except SettingsError as error:
        problem = str(error)
        assert problem.strip()


def test_a_webhook_secret_for_no_sender_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"TOCSIN_WEBHOOK_TOKENS": "graphana=s3cret,datadog=other"})
    (problem,) = caught.value.problems
    assert "names no sender: graphana; there are alertmanager, " in problem
    assert "s3cret" not in problem
