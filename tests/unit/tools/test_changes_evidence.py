"""What the changes plug-in tells: rollouts with their difference, scalings, restarts, closest to the alert first."""

from datetime import timedelta

from tests.unit.tools.fakes import APPS, add_event, add_service, ago, template
from tools.evidence import changes
from tools.sources import Sources


async def look(kube, scope):
    seen = await changes.collect(scope, Sources(kube=kube))
    assert not seen.error, seen.error
    return seen


async def test_a_rollout_just_before_the_alert_names_the_image(cluster, kube, scope):
    two = [template("checkout", "shop/checkout:v1"), template("checkout", "shop/checkout:v2", env={"DEBUG": "1"})]
    add_service(cluster, "checkout", two, ages=[9e5, 60])
    seen = await look(kube, scope)
    (found,) = seen.findings
    assert found.kind == "rollout"
    assert found.data["what"] == "image"
    assert (found.data["before"], found.data["after"]) == ("shop/checkout:v1", "shop/checkout:v2")
    assert (found.data["revision"], found.data["previous_revision"]) == (2, 1)
    assert 25 <= found.data["age_s"] <= 35
    assert found.score > 0.9
    assert "checkout env DEBUG added: 1" in found.data["changes"]
    assert "shop/checkout:v1 -> shop/checkout:v2" in seen.summary


async def test_a_limit_that_was_cut_is_named(cluster, kube, scope):
    add_service(
        cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:1", memory="64Mi")], ages=[9e5, 50]
    )
    (found,) = (await look(kube, scope)).findings
    assert (found.data["what"], found.data["before"], found.data["after"]) == ("limits", "256Mi", "64Mi")


async def test_old_rollouts_are_listed_but_no_findings(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:2")], ages=[9e5, 3e5])
    seen = await look(kube, scope)
    assert not seen.findings
    assert "(old) checkout rolled out revision 2" in seen.body
    assert "no rollout and no scaling" in seen.summary


async def test_nearer_to_the_alert_scores_higher_and_after_it_lower(cluster, kube, scope):
    scores = {}
    for age in (45, 1800, 7200):
        cluster.objects.clear()
        add_service(cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:2")], ages=[9e5, age])
        scores[age] = (await look(kube, scope)).findings[0].score
    assert scores[45] > scores[1800] > scores[7200]
    earlier = scope.alert.model_copy(update={"starts_at": scope.alert.starts_at - timedelta(minutes=20)})
    cluster.objects.clear()
    add_service(cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:2")], ages=[9e5, 45])
    late = (await look(kube, scope.model_copy(update={"alert": earlier}))).findings[0]
    assert late.score < 0.3
    assert "after the alert began" in late.statement


async def test_a_dependency_scaled_to_zero_is_told_with_who_did_it(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1", env={"PAYMENT_URL": "http://payment:8080"})])
    obj = add_service(cluster, "payment", [template("payment", "p:1")], replicas=0)
    by = {
        "manager": "kubectl-scale",
        "time": ago(40),
        "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    obj["metadata"]["managedFields"] = [by]
    add_event(
        cluster,
        "Deployment",
        "payment",
        "ScalingReplicaSet",
        "Scaled down replica set payment-hash1 to 0 from 2",
        age=40,
    )
    (found,) = (await look(kube, scope)).findings
    assert (found.kind, found.service) == ("scaled", "payment")
    assert (found.data["from"], found.data["to"], found.data["by"]) == (2, 0, "kubectl-scale")
    assert found.score > 0.9


async def test_the_steps_of_a_rollout_are_no_scaling(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:1"), template("checkout", "a:2")], ages=[9e5, 60])
    for way, number, age in (("up", 2, 60), ("down", 1, 58), ("up", 2, 55), ("down", 1, 50)):
        message = f"Scaled {way} replica set checkout-hash{number} from 1 to 2"
        add_event(cluster, "Deployment", "checkout", "ScalingReplicaSet", message, age=age)
    assert [found.kind for found in (await look(kube, scope)).findings] == ["rollout"]


async def test_a_restart_is_not_called_a_rollout(cluster, kube, scope):
    again = template("checkout", "a:1")
    again["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": ago(50)}
    add_service(cluster, "checkout", [template("checkout", "a:1"), again], ages=[9e5, 50])
    (found,) = (await look(kube, scope)).findings
    assert found.kind == "restarted"


async def test_a_revision_taken_up_again_is_as_old_as_its_rollback(cluster, kube, scope):
    add_service(cluster, "checkout", [template("checkout", "a:2"), template("checkout", "a:1")], ages=[5000, 9e5])
    newest = cluster.objects[f"{APPS}/replicasets/checkout-hash2"]
    newest["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] = "1"
    add_event(
        cluster,
        "Deployment",
        "checkout",
        "ScalingReplicaSet",
        "Scaled up replica set checkout-hash2 to 1 from 0",
        age=90,
    )
    (found,) = (await look(kube, scope)).findings
    assert 50 <= found.data["age_s"] <= 70


async def test_secret_values_are_hashed(cluster, kube, scope):
    old, new = (template("checkout", "a:1", env={"DB_PASSWORD": value}) for value in ("hunter2", "correct-horse"))
    add_service(cluster, "checkout", [old, new], ages=[9e5, 60])
    seen = await look(kube, scope)
    assert "hunter2" not in str(seen)
    assert "correct-horse" not in str(seen)
    (found,) = seen.findings
    assert found.data["what"] == "env"
    assert found.data["before"] != found.data["after"]
