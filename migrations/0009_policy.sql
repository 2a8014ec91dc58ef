-- What a proposal touches, the version of the policy it was planned under and how many people that asked for; under which
-- version and by which rule each approval was given. None of it can be edited.

ALTER TABLE proposals
    ADD COLUMN about json NOT NULL DEFAULT '{}',
    ADD COLUMN policy text NOT NULL DEFAULT '',
    ADD COLUMN needed smallint NOT NULL DEFAULT 1 CHECK (needed >= 1);

ALTER TABLE approvals
    ADD COLUMN policy text NOT NULL DEFAULT '',
    ADD COLUMN rule text NOT NULL DEFAULT '',
    ADD COLUMN broke_glass boolean NOT NULL DEFAULT false;

CREATE INDEX incident_events_runs ON incident_events (at) WHERE kind = 'run_started';

CREATE FUNCTION tocsin_proposal_policy_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.about::text <> OLD.about::text OR NEW.policy <> OLD.policy OR NEW.needed <> OLD.needed THEN
        RAISE EXCEPTION 'proposal % cannot be edited', OLD.id
            USING ERRCODE = 'restrict_violation', HINT = 'A different change is a new proposal.';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER proposals_policy_guard
    BEFORE UPDATE ON proposals
    FOR EACH ROW EXECUTE FUNCTION tocsin_proposal_policy_guard();
