"""Several clusters at the door: whose an alert is, and which silences count for it."""

from datetime import UTC, datetime

import pytest

from bot.across import ClusterLabels, ClusterSilences, _of
from bot.facts import ForeignSilences
from bot.labels import Labels
from bot.policy import Policy
from tools.clusters import Clusters
from tools.prometheus import ActiveAlert, AlertRule
from tools.records import Alert

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
BARE = Alert(fingerprint="f", sender="alertmanager", name="HighErrorRate", status="firing", starts_at=NOW)


class Rules:
    """A Prometheus that has one rule, firing for *services*."""

    def __init__(self, *services: str, **more: str) -> None:
        self.asked = 0
        found = [{"alertname": "HighErrorRate", "service": service, **more} for service in services]
        active = tuple(ActiveAlert(labels, "firing", 1.0, NOW) for labels in found)
        self.found = [AlertRule("HighErrorRate", "up == 0", 0.0, alerts=active)]

    async def rules(self) -> list[AlertRule]:
        self.asked += 1
        return self.found


def labels(clusters: Clusters, **each: Rules) -> ClusterLabels:
    known = {name: Labels(Policy(), rules, None, None) for name, rules in each.items()}
    return ClusterLabels(Policy(), None, None, None, clusters=clusters, each=known)


TWO = Clusters(("eu1", "us1"), "", {"europe": "eu1"})


async def test_an_alert_belongs_to_the_cluster_that_alone_knows_it() -> None:
    found = await labels(TWO, eu1=Rules(), us1=Rules("checkout")).known(BARE)
    assert (found.cluster, found.service, found.query) == ("us1", "checkout", "up == 0")


async def test_one_that_two_clusters_know_alike_stays_nobodys() -> None:
    found = await labels(TWO, eu1=Rules("cart"), us1=Rules("checkout")).known(BARE)
    assert found == BARE


async def test_a_shared_monitorings_label_says_which() -> None:
    shared = Rules("checkout", cluster="us1")
    found = await labels(TWO, eu1=shared, us1=shared).known(BARE)
    assert TWO.of(found) == "us1"


async def test_an_alert_that_names_its_cluster_is_looked_up_there_alone() -> None:
    eu1, us1 = Rules("checkout"), Rules("checkout")
    found = await labels(TWO, eu1=eu1, us1=us1).known(BARE.model_copy(update={"labels": {"cluster": "europe"}}))
    assert (found.cluster, found.query) == ("eu1", "up == 0")
    assert (eu1.asked, us1.asked) == (1, 0)


async def test_one_of_an_unknown_cluster_is_looked_up_nowhere() -> None:
    eu1, us1 = Rules("checkout"), Rules("checkout")
    alert = BARE.model_copy(update={"labels": {"cluster": "ap9"}})
    assert await labels(TWO, eu1=eu1, us1=us1).known(alert) == alert
    assert (eu1.asked, us1.asked) == (0, 0)


class Silences:
    """An Alertmanager with one active silence of checkout."""

    async def silences(self) -> list[dict[str, object]]:
        matchers = [{"name": "service", "value": "checkout", "isRegex": False, "isEqual": True}]
        return [{"id": "1", "status": {"state": "active"}, "matchers": matchers}]


@pytest.mark.parametrize(
    ("default", "cluster", "silenced"),
    [
        ("", "eu1", True),
        ("", "europe", True),
        ("", "us1", False),
        ("", "", False),
        ("eu1", "", True),
        ("us1", "", False),
    ],
)
async def test_a_silence_counts_for_its_own_cluster(default: str, cluster: str, silenced: bool) -> None:
    clusters = Clusters(("eu1", "us1"), default, {"europe": "eu1"})
    both = ClusterSilences(None, each=[(ForeignSilences(Silences()), _of(clusters, ["eu1"]))])
    (quiet,), problem = await both.read()
    assert not problem
    given = {"service": "checkout", "cluster": cluster}
    assert all(matcher.holds(given) for matcher in quiet.matchers) is silenced
