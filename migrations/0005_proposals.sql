-- Proposed changes and who decided about them. A proposal's content never changes; only its state moves, and only forward.

CREATE TABLE proposals (
    id text PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES incidents,
    action text NOT NULL,
    params json NOT NULL,
    plan json NOT NULL,
    risk smallint NOT NULL CHECK (risk BETWEEN 1 AND 4),
    reasons json NOT NULL,
    why text NOT NULL,
    evidence json NOT NULL,
    digest text NOT NULL CHECK (digest <> ''),
    state text NOT NULL CHECK (
        state IN ('proposed', 'approved', 'running', 'done', 'failed', 'unknown', 'rejected', 'expired', 'superseded')
    ),
    requested_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT proposals_expire_later CHECK (expires_at > created_at)
);
CREATE INDEX proposals_of_incident ON proposals (incident_id, created_at);
CREATE INDEX proposals_due ON proposals (expires_at) WHERE state IN ('proposed', 'approved');

CREATE TABLE approvals (
    proposal_id text NOT NULL REFERENCES proposals,
    by text NOT NULL CHECK (by <> ''),
    digest text NOT NULL,
    decision text NOT NULL CHECK (decision IN ('approved', 'rejected')),
    at timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (proposal_id, by, digest)
);

CREATE FUNCTION tocsin_proposal_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.incident_id <> OLD.incident_id OR NEW.action <> OLD.action
        OR NEW.params::text <> OLD.params::text OR NEW.plan::text <> OLD.plan::text OR NEW.risk <> OLD.risk
        OR NEW.reasons::text <> OLD.reasons::text OR NEW.why <> OLD.why OR NEW.evidence::text <> OLD.evidence::text
        OR NEW.digest <> OLD.digest OR NEW.requested_by <> OLD.requested_by
        OR NEW.created_at <> OLD.created_at OR NEW.expires_at <> OLD.expires_at
    THEN
        RAISE EXCEPTION 'proposal % cannot be edited', OLD.id
            USING ERRCODE = 'restrict_violation', HINT = 'A different change is a new proposal.';
    END IF;
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'proposed' AND NEW.state IN ('approved', 'rejected', 'expired', 'superseded'))
        OR (OLD.state = 'approved' AND NEW.state IN ('running', 'rejected', 'expired', 'superseded'))
        OR (OLD.state = 'running' AND NEW.state IN ('done', 'failed', 'unknown', 'superseded'))
        OR (OLD.state = 'unknown' AND NEW.state IN ('done', 'failed'))
    ) THEN
        RAISE EXCEPTION 'proposal % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER proposals_guard
    BEFORE UPDATE ON proposals
    FOR EACH ROW EXECUTE FUNCTION tocsin_proposal_guard();
