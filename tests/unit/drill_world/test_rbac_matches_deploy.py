"""The practice cluster's actor has exactly the rights that deploy/ gives a real one."""

from pathlib import Path

import yaml

from drill.cluster.rbac import ACTOR_RULES

ROLE = Path(__file__).parents[3] / "deploy" / "kustomize" / "base" / "actor.yaml"


def test_the_actor_has_the_rules_of_the_deployed_role() -> None:
    roles = [doc for doc in yaml.safe_load_all(ROLE.read_text()) if doc and doc["kind"] == "ClusterRole"]
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
        for verbs, groups, resources in ACTOR_RULES
        for group in groups
        for resource in resources
        for verb in verbs
        if not resource.startswith("selfsubject")  # every identity may ask about itself (system:basic-user)
    }
    assert here == deployed
