"""The practice cluster's identities have exactly the rights that deploy/ gives the real ones."""

from pathlib import Path

import pytest
import yaml

from drill.cluster.rbac import ACTOR_RULES, READER_RULES, REMEDIATION_RULES, Rule

BASE = Path(__file__).parents[3] / "deploy" / "kustomize"


@pytest.mark.parametrize(
    ("name", "rules"),
    [("base/actor", ACTOR_RULES), ("base/reader", READER_RULES), ("remediations/role", REMEDIATION_RULES)],
)
def test_an_identity_has_the_rules_of_the_deployed_role(name: str, rules: tuple[Rule, ...]) -> None:
    roles = [
        doc for doc in yaml.safe_load_all((BASE / f"{name}.yaml").read_text()) if doc and doc["kind"] == "ClusterRole"
    ]
    deployed = {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    here = {
        (group, resource, verb)
        for verbs, groups, resources in rules
        for group in groups
        for resource in resources
        for verb in verbs
        if not resource.startswith("selfsubject")  # every identity may ask about itself (system:basic-user)
    }
    assert here == deployed
