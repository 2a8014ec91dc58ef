-- name: group_of
SELECT i.group_key
FROM incident_alerts a
JOIN incidents i ON i.id = a.incident_id
WHERE a.fingerprint = ANY(%(fingerprints)s) AND i.resolved_at IS NULL
ORDER BY i.id DESC
LIMIT 1

-- name: remember
INSERT INTO incident_alerts (incident_id, fingerprint, alert, firing)
SELECT %(incident_id)s, fingerprint, %(alert)s, true
FROM unnest(%(fingerprints)s::text[]) AS fingerprint
ON CONFLICT (incident_id, fingerprint) DO UPDATE SET firing = true

-- name: resolve
UPDATE incident_alerts
SET firing = false
WHERE
    incident_id = %(incident_id)s
    AND alert IN (
        SELECT known.alert
        FROM incident_alerts known
        WHERE known.incident_id = %(incident_id)s AND known.fingerprint = ANY(%(fingerprints)s)
    )

-- name: still_firing
SELECT count(DISTINCT alert) AS n FROM incident_alerts WHERE incident_id = %(incident_id)s AND firing
