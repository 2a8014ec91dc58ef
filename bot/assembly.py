"""Puts the approvals together from settings, Slack and the record; bot/service.py calls it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import yaml
from slack_sdk.web.async_client import AsyncWebClient

from bot import toolbox
from bot.approvals import Approvals, Parts
from bot.authority.people import People
from bot.base import Base
from bot.channels import Groups
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.oncall import OnCalls
from bot.settings import Settings
from tools.oncall import Opsgenie, PagerDuty


def approvals_of(base: Base, life: Lifecycle, client: AsyncWebClient, team: str, metrics: Metrics) -> Approvals:
    """Return the approvals of one process; *team* is the workspace's id."""
    settings = base.settings
    changes = settings.policy.changes
    oncalls = oncalls_of(settings, base.sources.clock)
    return Approvals(
        Parts(
            life=life,
            policy=settings.policy,
            people=People(Groups(client).members, changes.oncall, oncalls.of),
            actors=toolbox.actors_of(settings),
            views=base.views,
            team=team,
            metrics=metrics,
            cluster=changes.cluster or cluster_of(settings.actor_kubeconfig),
        )
    )


def oncalls_of(settings: Settings, clock: Callable[[], datetime]) -> OnCalls:
    """Return the on-call lists with the accounts that *settings* name."""
    token, key = settings.pagerduty_token.get_secret_value(), settings.opsgenie_api_key.get_secret_value()
    return OnCalls(
        clock,
        PagerDuty(token, settings.pagerduty_url) if token else None,
        Opsgenie(key, settings.opsgenie_url) if key else None,
    )


def cluster_of(kubeconfig: str) -> str:
    """Return what a kubeconfig calls the cluster of its current context; "" when that cannot be told."""
    if not kubeconfig or kubeconfig == toolbox.IN_CLUSTER:
        return ""
    try:
        content = yaml.safe_load(Path(kubeconfig).expanduser().read_text(encoding="utf-8"))
        contexts = {one["name"]: one["context"] for one in content["contexts"]}
        return str(contexts[content["current-context"]]["cluster"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return ""  # the client says what is wrong with it
