"""Google Cloud Monitoring: its webhook {version, incident} and its Slack messages."""

from bot.reading import prose
from bot.reading.facts import Facts
from bot.reading.naming import title_of
from bot.reading.post import Post, part
from bot.reading.roles import facts_of
from bot.reading.text import pairs_of, text_of
from bot.reading.times import when
from bot.reading.words import severity_word, status_word

# Labels of monitored resources that name the service that runs there; the display name of the resource is a guess.
_SERVICES = ("service_name", "module_id", "container_name", "function_name", "job_name", "topic_id", "service")


def matches(post: Post) -> bool:
    """Say whether Google Cloud Monitoring posted it."""
    if post.kind == "slack":
        return post.from_app("google cloud monitoring", "gcp") or prose.linked(
            post, "console.cloud.google.com/monitoring"
        )
    incident = part(post.body, "incident")
    return "incident_id" in incident and (
        "policy_name" in incident or "condition_name" in incident or "scoping_project_id" in incident
    )


def parse(post: Post) -> list[Facts]:
    """Return its one incident, named by its condition (a policy may have several)."""
    if post.kind == "slack":
        facts = prose.posted(post, "gcp", r"/incidents/([\w.-]+)")
        facts.name = post.sheet.pair("condition", "condition_name", "policy", "policy_name") or facts.name
        return [facts]
    incident = part(post.body, "incident")
    facts = facts_of(incident)
    facts.sender = "gcp"
    policy = text_of(incident.get("policy_name"), 200)
    facts.name = text_of(incident.get("condition_name"), 200) or ("" if policy.startswith("projects/") else policy)
    facts.name = facts.name or title_of(text_of(incident.get("summary")))
    facts.status = status_word(incident.get("state"))
    user = {**pairs_of(incident.get("policy_user_labels")), **pairs_of(part(incident, "metadata", "user_labels"))}
    system = pairs_of(part(incident, "metadata", "system_labels"))
    told = (text_of(incident.get("severity")), user.get("severity", ""), system.get("severity", ""))
    facts.severity = next((found for text in told if (found := severity_word(text))), None)
    resource = pairs_of(part(incident, "resource", "labels"))
    facts.labels = {**pairs_of(part(incident, "metric", "labels")), **resource, **system, **user}
    named = (text_of(part(incident, "resource").get("labels.service")), user.get("service", ""), user.get("app", ""))
    facts.service = next(
        filter(None, (*named, *(resource.get(key, "") for key in _SERVICES if resource.get(key) != "default"))), ""
    )
    shown = (text_of(incident.get(key)) for key in ("resource_display_name", "resource_id", "resource_name"))
    facts.guessed_service = next(filter(None, shown), "")
    facts.starts_at, facts.ends_at = when(incident.get("started_at")), when(incident.get("ended_at"))
    facts.namespace, facts.cluster = resource.get("namespace_name", ""), resource.get("cluster_name", "")
    condition = part(incident, "condition")
    threshold = part(condition, "conditionThreshold")
    promql = part(condition, "conditionPrometheusQueryLanguage") or part(condition, "conditionMonitoringQueryLanguage")
    facts.query = text_of(promql.get("query")) or text_of(threshold.get("filter"))
    facts.value = text_of(incident.get("observed_value"))
    facts.identity = text_of(incident.get("incident_id"))
    return [facts]
