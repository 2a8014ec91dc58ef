-- The inbox (raw events, durable before they are acknowledged), incidents, and what is known about each.
-- `json`, not `jsonb`, where a record must come back exactly as it was written (jsonb turns 1e22 into an integer).

CREATE TABLE inbox (
    event_id text PRIMARY KEY CHECK (length(event_id) BETWEEN 1 AND 500),
    kind text NOT NULL,
    payload json NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done', 'failed')),
    error text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz
);
CREATE INDEX inbox_new ON inbox (received_at) WHERE state = 'new';

CREATE TABLE incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_key text NOT NULL,
    alert json NOT NULL,
    service text NOT NULL,
    state jsonb NOT NULL DEFAULT '{"state": "open"}',
    channel text NOT NULL DEFAULT '',
    thread_ts text NOT NULL DEFAULT '',
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    CONSTRAINT incidents_state CHECK (
        state ->> 'state' IN ('open', 'diagnosed', 'proposed', 'running', 'verifying', 'recovered', 'resolved')
    )
);
-- One open incident per group, whatever number of replicas hears of it; hashed because a group key has no length limit.
CREATE UNIQUE INDEX incidents_one_open ON incidents (md5(group_key)) WHERE resolved_at IS NULL;
CREATE INDEX incidents_recent ON incidents (opened_at DESC);
CREATE INDEX incidents_of_service ON incidents (service, opened_at DESC);
CREATE UNIQUE INDEX incidents_thread ON incidents (channel, thread_ts) WHERE thread_ts <> '';

CREATE TABLE evidence (
    incident_id bigint NOT NULL REFERENCES incidents,
    id text NOT NULL,
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    record json NOT NULL,
    PRIMARY KEY (incident_id, id)
);

CREATE TABLE posts (
    incident_id bigint NOT NULL REFERENCES incidents,
    key text NOT NULL,
    channel text NOT NULL,
    ts text NOT NULL DEFAULT '',
    content_hash text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'posting' CHECK (state IN ('posting', 'posted')),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (incident_id, key)
);
