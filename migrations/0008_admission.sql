-- Between alerts and incidents: the life of each alert, groups that wait, silences, and every decision with its reason.

-- What was last heard of an alert, under each fingerprint it is known by.
CREATE TABLE alert_life (
    fingerprint text PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('firing', 'resolved')),
    severity text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    changes timestamptz[] NOT NULL DEFAULT '{}',
    incident_id bigint REFERENCES incidents,
    flapping boolean NOT NULL DEFAULT false,
    heard_at timestamptz NOT NULL
);
CREATE INDEX alert_life_of_incident ON alert_life (incident_id);

-- Alertmanager's group keys (of any length) that an incident is made of.
CREATE TABLE incident_groups (
    incident_id bigint NOT NULL REFERENCES incidents,
    group_key text NOT NULL
);
CREATE UNIQUE INDEX incident_groups_once ON incident_groups (md5(group_key), incident_id);

-- Groups that wait for companions (cap = '') or for room (cap names the cap); a due job opens each.
CREATE TABLE waiting_groups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL,
    group_keys text[] NOT NULL DEFAULT '{}',
    service text NOT NULL,
    channel text NOT NULL,
    alert json NOT NULL,
    critical boolean NOT NULL,
    started_at timestamptz NOT NULL,
    first_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    cap text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX waiting_groups_once ON waiting_groups (md5(key));
CREATE INDEX waiting_groups_due ON waiting_groups (due_at);

CREATE TABLE waiting_alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    waiting_id bigint NOT NULL REFERENCES waiting_groups ON DELETE CASCADE,
    fingerprints text[] NOT NULL,
    alert json NOT NULL,
    place json NOT NULL
);
CREATE INDEX waiting_alerts_of_group ON waiting_alerts (waiting_id);

-- What became of each alert that arrived (first) and of those that had to wait (a second row).
CREATE TABLE decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    first boolean NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL DEFAULT '',
    incident_id bigint REFERENCES incidents,
    fingerprint text NOT NULL,
    name text NOT NULL,
    service text NOT NULL,
    status text NOT NULL,
    labels json NOT NULL
);
CREATE INDEX decisions_at ON decisions (at);
CREATE INDEX decisions_of_incident ON decisions (incident_id, id);
CREATE INDEX decisions_of_name ON decisions (lower(name), id);

CREATE TABLE silences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    matchers text NOT NULL,
    comment text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    expired_by text NOT NULL DEFAULT ''
);
CREATE INDEX silences_ends ON silences (ends_at);

-- What the channel is told once while it lasts: a cap that is reached, money that is spent.
CREATE TABLE episodes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    began_at timestamptz NOT NULL,
    UNIQUE (kind, subject)
);

CREATE INDEX incidents_ended ON incidents (resolved_at DESC) WHERE resolved_at IS NOT NULL;
CREATE INDEX incident_events_diagnosed ON incident_events (at) WHERE kind = 'diagnosed';
