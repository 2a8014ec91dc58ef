-- Which alerts an incident is made of. One alert can be known under two fingerprints: the hash of its Slack title, and
-- Alertmanager's own once its labels were found; `alert` is the one that both rows share.
CREATE TABLE incident_alerts (
    incident_id bigint NOT NULL REFERENCES incidents,
    fingerprint text NOT NULL,
    alert text NOT NULL,
    firing boolean NOT NULL,
    PRIMARY KEY (incident_id, fingerprint)
);
CREATE INDEX incident_alerts_fingerprint ON incident_alerts (fingerprint);
