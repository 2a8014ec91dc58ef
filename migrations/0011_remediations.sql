-- Remediations (custom resources of a cluster) that were taken up: which request, at which generation, led to which incident;
-- and which proposal is shown by which resource. What makes two replicas and a crashed one do it once.

CREATE TABLE remediations (
    cluster text NOT NULL,
    uid text NOT NULL CHECK (uid <> ''),
    generation bigint NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    spec json NOT NULL,
    incident_id bigint REFERENCES incidents,
    proposal_id text REFERENCES proposals,
    refused text NOT NULL DEFAULT '',
    gone boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL,
    PRIMARY KEY (cluster, uid, generation)
);
CREATE INDEX remediations_of_incident ON remediations (incident_id);
CREATE INDEX remediations_of_proposal ON remediations (proposal_id);
