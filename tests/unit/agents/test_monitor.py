"""Whose alert it is, which windows to look at, and whom to look at next."""

from datetime import timedelta

import pytest

from agents import monitor
from agents.ports import Limits
from tests.unit.agents import samples


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service": "checkout", "pod": "x-1"}, "checkout"),
        ({"app": "cart", "job": "kubernetes-pods"}, "cart"),
        ({"job": "kube-state-metrics", "deployment": "payment"}, "payment"),
        ({"job": "checkout"}, "checkout"),
        ({"container": "POD", "pod": "checkout-7d9f8c6b5d-x2x4z"}, "checkout"),
        ({"pod": "cart-0"}, "cart"),
        ({"pod": "billing-7d9f8c6b5d-x2x4z"}, "billing"),
        ({"destination_service": "payment.shop.svc.cluster.local"}, "payment"),
        ({"job": "node-exporter", "app": "unknown-thing"}, "unknown-thing"),
        ({"container": "sidecar", "pod": "checkout-7d9f8c6b5d-x2x4z"}, "checkout"),
        ({}, ""),
    ],
)
def test_the_service_is_guessed_from_labels(labels: dict[str, str], service: str) -> None:
    assert monitor.service_of(samples.alert(labels=labels, annotations={}), samples.SERVICES) == service


def test_a_known_service_is_found_in_the_words() -> None:
    named = samples.alert(labels={}, annotations={"summary": "The Checkout is slow"})
    assert monitor.service_of(named, samples.SERVICES) == "checkout"


def test_windows_reach_from_before_the_onset_to_now() -> None:
    scope = monitor.scope_for(samples.alert(), samples.NOW, samples.SERVICES, Limits())
    assert scope.start == samples.ONSET - timedelta(minutes=30)
    assert scope.logs_start == samples.ONSET - timedelta(minutes=5)
    assert scope.end == samples.NOW
    assert (scope.service, scope.namespace) == ("checkout", "shop")


@pytest.mark.parametrize("starts_at", [None, samples.NOW + timedelta(hours=3)])
def test_an_unknown_or_future_start_is_now(starts_at: object) -> None:
    scope = monitor.scope_for(samples.alert(starts_at=starts_at), samples.NOW, {}, Limits())
    assert scope.start == samples.NOW - timedelta(minutes=30)
    assert scope.start < scope.end


def test_an_ancient_start_is_cut_off() -> None:
    scope = monitor.scope_for(samples.alert(starts_at=samples.NOW - timedelta(days=40)), samples.NOW, {}, Limits())
    assert scope.start == samples.NOW - timedelta(hours=24)


def test_the_policy_supplies_a_missing_namespace() -> None:
    scope = monitor.scope_for(samples.alert(labels={"service": "cart"}), samples.NOW, samples.SERVICES, Limits())
    assert scope.namespace == "shop"


def test_declared_dependencies_are_looked_at_when_nothing_points_anywhere() -> None:
    quiet = [samples.seen("kubernetes", "checkout")]
    assert monitor.neighbours(quiet, {"checkout"}, samples.SERVICES, Limits()) == ["payment", "cart"]


def test_a_cause_of_its_own_needs_no_neighbour() -> None:
    own = [samples.seen("kubernetes", "checkout", samples.finding("oom_killed", "checkout", "killed"))]
    assert monitor.neighbours(own, {"checkout"}, samples.SERVICES, Limits()) == []


def test_what_points_elsewhere_is_followed_even_so() -> None:
    own = samples.finding("rollout", "checkout", "rolled out")
    call = samples.finding("dependency_errors", "checkout", "calls fail", peer="http://payment.shop.svc:8080/pay")
    found = [samples.seen("changes", "checkout", own, call)]
    assert monitor.neighbours(found, {"checkout"}, samples.SERVICES, Limits()) == ["payment"]
