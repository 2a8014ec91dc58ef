"""Which keys mean what, in order of how sure they are; bot/reading/roles.py looks them up, alone and with their parent's.

Collected from senders' documentation and kept general: a key stands here for what it means, not for whose it is.
"""


def listed(text: str) -> tuple[str, ...]:
    """Return the words of *text*: a long list stays readable that way."""
    return tuple(text.split())


NAME = listed("""
    alertname alert_name alarm_name alert_rule alert_rule_name rule_name monitor_name check_name
    monitor_friendly_name friendly_name condition_name trigger_name problem_title alert_title incident_title
    issue_title alarm_title monitor_title event_title definition_title definition_name rule_title rule_description service_description service_desc
    servicedesc service_display_name_check sensor sensor_name test_name signal_rule_name
    saved_search_name search_name job_title problem_name event_name issue_name check_title item_title violation_name
    policy_name title headline subject display_name alarm incident_name entity_display_name_alert error_class
    exception_class error_message exception_type detail_type check rule alert monitor condition problem trigger test signal event issue incident error detector_name detector name
    summary short_description what message msg description text details reason body cause service_output host_output
    long_output output state_message status_text stopped_reason event_type_name human_readable metric_label metric_name
""")
"""What the alert is called: the rule's own name before a title, a title before prose."""

STATUS = listed("""
    conclusion status state alert_status alert_state alarm_state current_state new_state new_state_value new_status
    current_status incident_status incident_state problem_state issue_status check_status monitor_status
    monitor_condition service_state host_state state_name status_name to_state alert_transition transition
    notification_type message_type event_type event_action action alert_type_friendly_name trigger_status health
    condition_state alert_action check_state_name event_status result outcome last_status to event type trigger alert_type kind notification
    category event_name webhook_event status_code
""")
"""What state it is in; a value counts only when it is a word for a state."""

ENDED = listed("""
    ends_at ended_at end_time resolved_at closed_at recovered_at end_date resolved_time ended resolved_date_time
    close_time cleared_at resolved_on end_timestamp date_end resolution_time
""")
"""When it ended."""

SEVERITY = listed("""
    severity alert_severity sev severity_level severity_name incident_severity event_severity problem_severity
    severity_label trigger_severity priority alert_priority incident_priority priority_name urgency importance
    importance_level criticality impact_level severity_description level alert_level error_level log_level impact
    priority_summary perceived_severity nseverity rule_level grade alert_type threat_level problem_impact
    trigger_level trigger_type alarm_level alert_priority_name prio gravity criticity importance_name
""")
"""How grave it is."""

STATE_SEVERITY = listed("""
    status state alert_status alert_state current_state new_state service_state host_state message_type to_state
    state_name check_status event_type type result new_status
""")
"""States that may be a severity at the same time (CRITICAL)."""

SERVICE = listed("""
    service service_name service_display_name affected_service impacted_service affected_services service_summary
    services services_name affected_services_name impacted_services_name services_summary tier_name subsystem
    subsystem_name app application app_name application_name microservice component component_name affected_component
    components_name component_names subsystem system system_name deployment statefulset daemonset workload
    workload_name kube_deployment k8s_deployment_name project project_name project_slug job job_name container
    container_name svc svc_name cmdb_ci configuration_item affected_ci ci_name business_service service_label service_id
""")
"""The service it is about."""

PLACE = listed("""
    entity_display_name entity_label entity_name impacted_entity impacted_entities_name entity impacted_entities affected_entity resource_display_name
    resource_name resource resource_id affected_resource target_name target host_display_name host_name hostname
    host node_name node device_name device server server_name instance instance_name instance_id machine vm
    agent_name source_host chart_context queue database site website website_name domain monitor_url page_name
    endpoint address ip_address host_name_and_port hostname_and_port cluster_name object monitor_name monitor check_name
""")
"""The host, resource or page it is about: a guess at the service where none is named."""

STARTED = listed("""
    starts_at started_at start_time start_date triggered_at opened_at active_at fired_at fired_date_time
    incident_started_at first_seen since state_change_time event_started down_since began_at occurred_at
    activation_time start state_start_time start_timestamp incident_start_time alert_start problem_start detected_at
    date_start state_changed_timestamp state_changed_utc_time
""")
"""When the trouble began."""

SEEN = listed("""
    event_time timestamp created_at created_on created time date datetime event_date at alert_time event_timestamp
    triggered_on updated_at last_updated occurred sent_at ts long_date_time timet alarm_timestamp clock last_seen
    trigger_time when date_time
""")
"""When it was seen or sent: the beginning of a firing alert when nothing better is told, the end of a resolved one."""

VALUE = listed("""
    value current_value observed_value metric_value last_value actual_value value_string values_a current
    result_value trigger_value item_value measured_value reading current_value_string actual metric_value_string
    last_check_value opdata
""")
"""The measured value."""

QUERY = listed("""
    query expression expr promql metric_query alert_query nrql nrql_query search_query logql condition_expression
    trigger_expression monitor_query rule_expression query_string search filter
""")
"""The query behind it."""

INCIDENT = listed("""
    dedup_key dedup_id incident_key alias dedupe_key deduplication_key problem_id pid alert_uid entity_id
    incident_id alert_id issue_id violation_id alarm_id aggreg_key unique_id alert_uuid
""")
"""The sender's id of one life of this alert."""

DEFINITION = listed("""
    alarm_arn monitor_id check_id rule_id rule_uid rule_key policy_id condition_id trigger_id test_id sensorid
    sensor_id chart_id detector_id monitor_url code uid ping_url item_id monitor_uuid check_uuid rule_uuid
    watch_id job_name slug policy_uuid condition_uuid trigger_uuid test_uuid item_uuid monitor_uid check_uid policy_uid condition_uid
    trigger_uid test_uid item_uid
""")
"""The sender's id of the rule, monitor or check."""

ANNOTATIONS = listed("""
    summary description message body text reason details cause output state_message new_state_reason
    alarm_description alert_message error culprit problem_details long_output info service_output host_output
    comment error_message impact subtitle short_description msg
""")
"""Prose."""
