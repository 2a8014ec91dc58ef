"""The three changes to Deployments against a fake API server: dry-run, refusals, guards, verification, undo."""

import pytest

from tests.unit.tools.fakes import APPS, DROP, add_service, template
from tools.actions import rollout_restart, rollout_undo, scale
from tools.deployments import PROPOSAL, TargetChanged
from tools.errors import Permanent, Temporary
from tools.kube import Forbidden, LostAnswer, NotFound

DEPLOYMENT = f"{APPS}/deployments/checkout"
RESTART = rollout_restart.Params(namespace="shop", deployment="checkout")
UNDO = rollout_undo.Params(namespace="shop", deployment="checkout")
FIVE = scale.Params(namespace="shop", deployment="checkout", replicas=5)
ALL = pytest.mark.parametrize(("action", "params"), [(rollout_restart, RESTART), (rollout_undo, UNDO), (scale, FIVE)])


@pytest.fixture
def deployment(cluster):
    first = template("checkout", "shop/checkout:v1", env={"API_TOKEN": "aaaabbbbcccc"})
    return add_service(
        cluster, "checkout", [first, template("checkout", "shop/checkout:v2", env={"API_TOKEN": "ddddeeeeffff"})]
    )


@ALL
async def test_plan_leaves_everything_as_it_was(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)
    assert cluster.writes == []
    assert planned.target == "Deployment shop/checkout"
    assert planned.diff
    assert planned.precondition["uid"] == deployment["metadata"]["uid"]
    patches = [query for method, _, query in cluster.requests if method == "PATCH"]
    assert patches == [{"dryRun": ["All"], "fieldManager": ["tocsin"]}]
    assert "aaaabbbb" not in planned.diff
    assert "ddddeeee" not in planned.diff


@ALL
async def test_apply_writes_once_with_the_proposals_mark(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)
    assert not await action.applied(params, planned, kube, "P1")
    await action.apply(params, planned, kube, "P1")
    assert len(cluster.writes) == 1
    assert cluster.objects[DEPLOYMENT]["metadata"]["annotations"][PROPOSAL] == "P1"
    assert await action.applied(params, planned, kube, "P1")
    assert not await action.applied(params, planned, kube, "P2")


async def test_undo_puts_the_previous_template_back_without_its_hash(cluster, deployment, kube):
    planned = await rollout_undo.plan(UNDO, kube)
    assert "- checkout image: shop/checkout:v2\n+ checkout image: shop/checkout:v1" in planned.diff
    assert planned.line == "Roll shop/checkout back from revision 2 to revision 1"
    await rollout_undo.apply(UNDO, planned, kube, "P1")
    spec = cluster.objects[DEPLOYMENT]["spec"]
    assert spec["template"]["spec"]["containers"][0]["image"] == "shop/checkout:v1"
    assert spec["template"]["metadata"]["labels"] == {"app": "checkout"}
    back = rollout_undo.undo(UNDO, planned)
    assert back is not None
    assert back.params["to_revision"] == 2


async def test_restart_changes_the_annotation_alone(cluster, deployment, kube):
    planned = await rollout_restart.plan(RESTART, kube)
    before = deployment["spec"]["template"]["spec"]
    await rollout_restart.apply(RESTART, planned, kube, "P1")
    after = cluster.objects[DEPLOYMENT]["spec"]["template"]
    assert after["spec"] == before
    assert list(after["metadata"]["annotations"]) == ["kubectl.kubernetes.io/restartedAt"]
    assert rollout_restart.undo(RESTART, planned) is None


async def test_scale_and_its_undo(cluster, deployment, kube):
    planned = await scale.plan(FIVE, kube)
    assert planned.diff == "- spec.replicas: 2\n+ spec.replicas: 5"
    await scale.apply(FIVE, planned, kube, "P1")
    assert cluster.objects[DEPLOYMENT]["spec"]["replicas"] == 5
    assert scale.undo(FIVE, planned).params["replicas"] == 2


@ALL
async def test_a_changed_spec_is_refused_before_writing(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/checkout:v3"
    with pytest.raises(TargetChanged, match="its spec was changed"):
        await action.apply(params, planned, kube, "P1")
    assert cluster.writes == []


@ALL
async def test_an_object_of_the_same_name_is_not_the_same_object(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)
    deployment["metadata"]["uid"] = "another"
    cluster.objects = {path: obj for path, obj in cluster.objects.items() if "replicasets" not in path} | {
        path: obj | {"metadata": obj["metadata"] | {"ownerReferences": [{"uid": "another"}]}}
        for path, obj in cluster.objects.items()
        if "replicasets" in path
    }
    with pytest.raises(TargetChanged, match="deleted and created again"):
        await action.apply(params, planned, kube, "P1")


@ALL
async def test_a_write_in_the_last_moment_is_refused_by_the_server(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)

    def somebody_else():
        deployment["spec"]["minReadySeconds"] = 7
        deployment["metadata"]["generation"] += 1

    cluster.before_write = somebody_else
    with pytest.raises(TargetChanged, match="at the same moment"):
        await action.apply(params, planned, kube, "P1")
    assert cluster.writes == []


@ALL
async def test_status_and_controller_annotations_do_not_refuse(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)
    deployment["status"]["readyReplicas"] = 1
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    deployment["metadata"]["generation"] += 1
    await action.apply(params, planned, kube, "P1")
    assert len(cluster.writes) == 1


async def test_an_autoscaler_does_not_stand_in_the_way_of_a_rollback(cluster, deployment, kube):
    planned = await rollout_undo.plan(UNDO, kube)
    deployment["spec"]["replicas"] = 9
    await rollout_undo.apply(UNDO, planned, kube, "P1")


@ALL
async def test_a_lost_answer_is_said_and_found_again(cluster, deployment, kube, action, params):
    planned = await action.plan(params, kube)
    cluster.after_write = DROP
    with pytest.raises(LostAnswer):
        await action.apply(params, planned, kube, "P1")
    assert await action.applied(params, planned, kube, "P1")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux"),
        ({"managedFields": [{"manager": "helm-controller"}]}, "Flux"),
    ],
)
@ALL
async def test_gitops_is_refused_with_its_name(cluster, deployment, kube, action, params, change, says):
    deployment["metadata"] |= change
    with pytest.raises(Permanent, match=says):
        await action.plan(params, kube)


@pytest.mark.parametrize(("action", "params"), [(rollout_restart, RESTART), (rollout_undo, UNDO)])
async def test_paused_is_refused(cluster, deployment, kube, action, params):
    deployment["spec"]["paused"] = True
    with pytest.raises(Permanent, match="paused; resume it first"):
        await action.plan(params, kube)


async def test_undo_without_an_earlier_revision_is_refused(cluster, kube):
    add_service(cluster, "checkout", [template("checkout", "a:1")])
    with pytest.raises(Permanent, match="no earlier revision"):
        await rollout_undo.plan(UNDO, kube)
    with pytest.raises(Permanent, match="no revision 7; kept are 1"):
        await rollout_undo.plan(UNDO.model_copy(update={"to_revision": 7}), kube)
    with pytest.raises(Permanent, match="already runs the template of revision 1"):
        await rollout_undo.plan(UNDO.model_copy(update={"to_revision": 1}), kube)


async def test_scale_to_the_same_number_is_refused(cluster, deployment, kube):
    with pytest.raises(Permanent, match="has 2 replicas already"):
        await scale.plan(FIVE.model_copy(update={"replicas": 2}), kube)


async def test_scale_against_an_autoscaler_is_refused(cluster, deployment, kube):
    cluster.absent = ()
    target = {"kind": "Deployment", "name": "checkout"}
    cluster.put(
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": target}},
    )
    with pytest.raises(Permanent, match="HorizontalPodAutoscaler hpa"):
        await scale.plan(FIVE, kube)


async def test_without_the_right_to_see_autoscalers_the_last_writer_tells(cluster, deployment, kube):
    cluster.refuse["horizontalpodautoscalers"] = (403, "no")
    await scale.plan(FIVE, kube)
    deployment["metadata"]["managedFields"] = [{"manager": "kube-controller-manager", "subresource": "scale"}]
    with pytest.raises(Permanent, match="HorizontalPodAutoscaler"):
        await scale.plan(FIVE, kube)


async def test_restart_of_nothing_is_refused(cluster, kube):
    add_service(cluster, "checkout", [template("checkout", "a:1")], replicas=0)
    with pytest.raises(Permanent, match="scaled to zero"):
        await rollout_restart.plan(RESTART, kube)


@ALL
async def test_the_servers_no_is_passed_on(cluster, deployment, kube, action, params):
    cluster.refuse["PATCH"] = (403, 'admission webhook "policy" denied the request: not on Fridays')
    with pytest.raises(Forbidden, match="not on Fridays"):
        await action.plan(params, kube)
    cluster.refuse = {"GET": (503, "away")}
    with pytest.raises(Temporary):
        await action.plan(params, kube)
    cluster.refuse = {}
    cluster.objects.clear()
    with pytest.raises(NotFound, match="no Deployment shop/checkout"):
        await action.plan(params, kube)


@ALL
async def test_verify_says_complete_under_way_or_failed(cluster, deployment, kube, action, params):
    deployment["spec"]["replicas"] = 5
    status = deployment["status"]
    status["observedGeneration"] = 1
    assert await action.verify(params, kube) == (None, "the change is not yet observed by the Deployment controller")
    status.update(observedGeneration=2, updatedReplicas=3, replicas=5, availableReplicas=5)
    assert await action.verify(params, kube) == (None, "3 of 5 replicas are updated")
    status.update(updatedReplicas=5, replicas=6)
    assert await action.verify(params, kube) == (None, "1 old replicas are still to be terminated")
    status.update(replicas=5, availableReplicas=4)
    assert await action.verify(params, kube) == (None, "4 of 5 updated replicas are available")
    status.update(availableReplicas=5)
    assert (await action.verify(params, kube))[0] is True
    status["conditions"][1].update(status="False", reason="ProgressDeadlineExceeded")
    assert (await action.verify(params, kube))[0] is False


async def test_verify_of_scale_sees_another_hand(cluster, deployment, kube):
    assert await scale.verify(FIVE, kube) == (False, "somebody set the number of replicas to 2 in the meantime")
