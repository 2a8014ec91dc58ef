"""The policy's own safety: denied by default, no rule widens another, and lint says what trying everything says."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.authority.change import Change, Made, matches
from bot.authority.decide import decide, decide_broken, least
from bot.authority.lint import lint
from bot.authority.order import version
from bot.authority.patterns import witnesses
from bot.authority.reach import Kind
from bot.policy import Approvers, Policy, Service
from bot.policy_changes import Changes, Rule, compiled
from tools.records import ChangeTarget, Risk

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ACTIONS = {"aa": Kind(Risk.MEDIUM), "az": Kind(Risk.HIGH, namespaced=False)}
TEXTS = ["".join(letters) for size in (1, 2, 3) for letters in itertools.product("az", repeat=size)]
SERVICES = {"s": Service(namespace="a"), "t": Service()}

globs = st.lists(st.sampled_from(["a", "*", "?", "a*", "*a", "??", "?a", "a?", "?*", "aa"]), max_size=2).map(tuple)
people = st.lists(st.sampled_from(["U0A", "U0B", "U0C"]), max_size=3, unique=True).map(tuple)


@st.composite
def rules(draw: st.DrawFn, name: str = "", clusters: bool = True) -> Rule:
    """One rule about the small world below."""
    restrictions: dict[str, st.SearchStrategy[object]] = {
        "changes": st.sampled_from([("a*",), ("aa",), ("az",), ("b",)]),
        "namespaces": globs,
        "services": st.sampled_from([("s",), ("t",), ("?",), ("x",)]),
        "labels": st.dictionaries(st.just("k"), globs, min_size=1, max_size=1),
        "risks": st.sampled_from([("low",), ("medium", "high"), ("critical",)]),
        "allow": st.just(False),
        "hours": st.sampled_from([{"days": ["mon"]}, {"days": ["tue"]}]),
        "outside_hours": st.just("next"),
        "caps": st.sampled_from([{"per_hour": 1, "per": "namespace"}, {"min_replicas": 2}]),
    }
    if clusters:
        restrictions["clusters"] = globs
    used = draw(st.sets(st.sampled_from(sorted(restrictions)), max_size=4))
    keys = {key: draw(restrictions[key]) for key in sorted(used)}
    keys |= {"approvers": draw(people), "count": draw(st.integers(1, 3))}
    return Rule.model_validate({"name": name or draw(st.uuids()).hex, **keys})


texts = st.sampled_from(["", *TEXTS])
targets = st.builds(
    ChangeTarget,
    cluster=texts,
    namespace=texts,
    service=st.sampled_from(["", "s", "t"]),
    labels=st.one_of(st.none(), st.dictionaries(st.just("k"), texts, max_size=1)),
    takes_pods=st.booleans(),
    leaves=st.one_of(st.none(), st.integers(0, 3)),
)
changes = st.builds(
    Change,
    action=st.sampled_from(sorted(ACTIONS)),
    target=st.sampled_from(["", "x", "y"]),
    about=targets,
    risk=st.sampled_from(list(Risk)),
    requested_by=st.sampled_from(["", "U0A"]),
)


def policy(*given_rules: Rule) -> Policy:
    return Policy(services=SERVICES, changes=Changes(rules=given_rules))


@given(st.lists(rules(), max_size=4), changes)
def test_what_no_rule_surely_matches_is_denied(given_rules: list[Rule], change: Change) -> None:
    verdict = decide(policy(*given_rules), change, NOW)
    if not any(matches(rule, change) for rule in given_rules):
        assert not verdict.allowed
        assert verdict.approvers == ()
    assert not decide_broken(policy(*given_rules), change, NOW).allowed


@given(changes)
def test_an_empty_policy_denies_everything(change: Change) -> None:
    assert not decide(Policy(), change, NOW).allowed


@given(st.lists(rules(), max_size=4), rules(name="added"), st.integers(0, 4), changes)
def test_adding_a_rule_never_widens_another(old: list[Rule], added: Rule, place: int, change: Change) -> None:
    before = decide(policy(*old), change, NOW)
    more = [*old[:place], added, *old[place:]]
    after = decide(policy(*more), change, NOW)
    if after.rule and after.rule != "added":  # another rule decides: exactly what it decided before
        assert (after.rule, after.approvers, after.count, after.checks) == (
            before.rule, before.approvers, before.count, before.checks,
        )  # fmt: skip
    if after.rule == "added":
        assert set(after.approvers) <= set(added.approvers)


@given(st.lists(rules(), min_size=1, max_size=4), rules(name="added"), changes)
def test_a_rule_at_the_end_changes_nothing_that_was_decided(old: list[Rule], added: Rule, change: Change) -> None:
    before = decide(policy(*old), change, NOW)
    if before.rule:
        assert decide(policy(*old, added), change, NOW) == before


@given(st.lists(rules(), min_size=1, max_size=3), changes, st.sampled_from(["", *TEXTS]), st.sampled_from(TEXTS))
def test_what_is_not_known_is_never_taken_for_safe(some: list[Rule], change: Change, label: str, cluster: str) -> None:
    def allowed(**facts: object) -> bool:
        about = change.about.model_copy(update=facts)
        return decide(policy(*some), Change(change.action, "x", about, change.risk), NOW).allowed

    if allowed(labels=None, cluster=cluster):
        assert allowed(labels={}, cluster=cluster)
        assert allowed(labels={"k": label}, cluster=cluster)
    if allowed(labels={}, cluster=""):
        assert allowed(labels={}, cluster=cluster)
    if allowed(takes_pods=True, leaves=None, labels={}, cluster=cluster):
        assert all(allowed(takes_pods=True, leaves=n, labels={}, cluster=cluster) for n in range(4))


@pytest.mark.parametrize("key", [{"labels": {"k": ["a"]}}, {"clusters": ["a"]}])
def test_a_rule_that_hangs_on_a_fact_nobody_knows_is_not_passed_over(key: dict[str, object]) -> None:
    strict = Rule.model_validate({"name": "strict", "approvers": ["U0A"], "allow": False, **key})
    wide = Rule.model_validate({"name": "wide", "approvers": ["U0B"]})
    about = ChangeTarget(cluster="", namespace="a", labels=None)
    verdict = decide(policy(strict, wide), Change("aa", "x", about), NOW)
    assert not verdict.allowed
    assert verdict.approvers == ()
    assert "is not known" in verdict.why_not


@given(st.lists(rules(), max_size=4), changes)
def test_no_rule_asks_for_less_than_the_risk_does(given_rules: list[Rule], change: Change) -> None:
    glass = [{"approvers": "U0A"}]
    made = policy(*given_rules).model_copy(update={"changes": Changes.model_validate({"break_glass": glass})})
    for verdict in (decide(policy(*given_rules), change, NOW), decide_broken(made, change, NOW)):
        assert verdict.count >= least(change.risk)
        assert verdict.requester_may == (change.risk < Risk.HIGH)


@given(st.lists(rules(), min_size=1, max_size=3), changes, st.integers(0, 3))
def test_more_changes_made_and_a_freeze_only_ever_take_away(given_rules: list[Rule], change: Change, n: int) -> None:
    made = [Made(NOW - timedelta(minutes=5), change)] * n
    free = decide(policy(*given_rules), change, NOW)
    assert free.allowed or not decide(policy(*given_rules), change, NOW, made).allowed
    frozen = Changes.model_validate({"freezes": [{"name": "f", "start": "2026-11-01", "end": "2026-12-01"}]})
    stopped = policy(*given_rules).model_copy(
        update={"changes": frozen.model_copy(update={"rules": tuple(given_rules)})}
    )
    assert not decide(stopped, change, NOW).allowed


@given(st.lists(st.text("az*?", min_size=1, max_size=3), max_size=4))
def test_witnesses_are_every_combination_that_trying_every_text_finds(some: list[str]) -> None:
    def fits(text: str) -> tuple[bool, ...]:
        return tuple(bool(compiled(glob).fullmatch(text)) for glob in some)

    every = {fits("".join(text)) for size in range(1, 8) for text in itertools.product("az", repeat=size)}
    found = witnesses(some)
    assert {fits(text) for text in found} >= every
    assert len({fits(text) for text in found}) == len(found)


def tried(given_rules: list[Rule], *, clusters: bool) -> tuple[set[str], set[str]]:
    """Return the rules that match some change and those that decide one, by trying every change of the small world."""
    matched, deciding = set(), set()
    labels: list[dict[str, str]] = [{}, {"k": ""}, *({"k": text} for text in TEXTS)]
    places = [("", ""), *(("", text) for text in TEXTS), ("s", "a"), *(("t", text) for text in TEXTS)]
    for (action, kind), (service, space), said, cluster in itertools.product(
        ACTIONS.items(), places, labels, TEXTS if clusters else ["a"]
    ):
        if kind.namespaced != bool(space):
            continue
        about = ChangeTarget(cluster=cluster, namespace=space, service=service, labels=said)
        for risk in Risk:
            if risk < kind.risk:
                continue
            change = Change(action, "x", about, risk)
            fitting = [rule for rule in given_rules if matches(rule, change)]
            matched |= {rule.name for rule in fitting}
            for rule in fitting:
                deciding.add(rule.name)
                if not (rule.outside_hours == "next" and rule.hours is not None):
                    break
    return matched, deciding


ANY_LABEL = Rule.model_validate({"name": "any label", "labels": {"k": "*"}, "approvers": ["U0A", "U0B"]})
REST = Rule.model_validate({"name": "rest", "approvers": ["U0A", "U0B"]})


@settings(max_examples=60)
@example([ANY_LABEL, REST])
@example([REST, ANY_LABEL])
@given(st.lists(rules(clusters=False), min_size=1, max_size=3))
def test_lint_says_never_and_hidden_exactly_where_trying_everything_does(given_rules: list[Rule]) -> None:
    matched, deciding = tried(given_rules, clusters=False)
    found = lint(policy(*given_rules), ACTIONS, NOW)
    named = {rule.name: f'changes.rules "{rule.name}"' for rule in given_rules}
    never = {name for name, where in named.items() if any((f.trouble, f.where) == ("never", where) for f in found)}
    hidden = {name for name, where in named.items() if any((f.trouble, f.where) == ("hidden", where) for f in found)}
    assert never == set(named) - matched
    assert hidden == matched - deciding


@settings(max_examples=15)
@given(st.lists(rules(), min_size=1, max_size=2))
def test_lint_agrees_about_clusters_too(given_rules: list[Rule]) -> None:
    bare = [rule.model_copy(update={"labels": {}}) for rule in given_rules]
    matched, deciding = tried(bare, clusters=True)
    found = {(one.trouble, one.where) for one in lint(policy(*bare), ACTIONS, NOW)}
    for rule in bare:
        where = f'changes.rules "{rule.name}"'
        assert (("never", where) in found) == (rule.name not in matched)
        assert (("hidden", where) in found) == (rule.name in matched - deciding)


@pytest.mark.parametrize("path", ["channels", "budgets", "approval"])
def test_the_version_is_that_of_what_decides(path: str) -> None:
    plain = Policy()
    values = {"channels": {"default": "x"}, "budgets": {"tools": 3}, "approval": {"expires_minutes": 3}}
    assert version(Policy.model_validate({path: values[path]})) == version(plain)
    named = Policy(approvers=Approvers(default=("U0A",)))
    assert len({version(plain), version(named), version(Policy(services=SERVICES))}) == 3
