-- The record: append-only and hash-chained. tools/store/events.py computes the hashes and verifies them.

CREATE TABLE incident_events (
    seq bigint PRIMARY KEY CHECK (seq > 0),
    incident_id bigint REFERENCES incidents,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    body json NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL
);
CREATE INDEX incident_events_of_incident ON incident_events (incident_id, seq);

-- Where the chain ends: locked while a row is appended, and how a removed tail is noticed.
CREATE TABLE audit_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL,
    hash text NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, '');

CREATE FUNCTION tocsin_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'A correction is a new event.';
END;
$$;

CREATE TRIGGER incident_events_append_only
    BEFORE UPDATE OR DELETE ON incident_events
    FOR EACH ROW EXECUTE FUNCTION tocsin_append_only();
CREATE TRIGGER incident_events_no_truncate
    BEFORE TRUNCATE ON incident_events
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_append_only();
CREATE TRIGGER audit_head_stays
    BEFORE DELETE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION tocsin_append_only();
CREATE TRIGGER audit_head_no_truncate
    BEFORE TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_append_only();
-- ALWAYS: they fire in a replication session too.
ALTER TABLE incident_events ENABLE ALWAYS TRIGGER incident_events_append_only;
ALTER TABLE incident_events ENABLE ALWAYS TRIGGER incident_events_no_truncate;
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_stays;
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_no_truncate;
