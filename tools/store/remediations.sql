-- name: taken
INSERT INTO remediations (cluster, uid, generation, namespace, name, spec, incident_id, proposal_id, refused, at)
VALUES (%(cluster)s, %(uid)s, %(generation)s, %(namespace)s, %(name)s, %(spec)s, %(incident_id)s, %(proposal_id)s, %(refused)s, %(at)s)
ON CONFLICT (cluster, uid, generation) DO NOTHING
RETURNING uid

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('remediation:' || %(cluster)s || '/' || %(uid)s, 0))

-- name: all
SELECT DISTINCT ON (uid) uid, generation, namespace, name, spec, incident_id, proposal_id, refused, gone
FROM remediations
WHERE cluster = %(cluster)s AND NOT gone
ORDER BY uid, generation DESC

-- name: of_uid
SELECT uid, generation, namespace, name, spec, incident_id, proposal_id, refused, gone
FROM remediations
WHERE cluster = %(cluster)s AND uid = %(uid)s
ORDER BY generation DESC
LIMIT 1

-- name: gone
UPDATE remediations SET gone = true WHERE cluster = %(cluster)s AND uid = %(uid)s AND NOT gone RETURNING uid

-- name: of_incident
SELECT cluster, uid, generation, namespace, name, spec, incident_id, proposal_id, refused, gone
FROM remediations
WHERE incident_id = %(incident_id)s
ORDER BY at

-- name: open
SELECT count(DISTINCT r.incident_id) AS n
FROM remediations AS r
JOIN incidents AS i ON i.id = r.incident_id
WHERE r.cluster = %(cluster)s AND r.proposal_id IS NULL AND i.resolved_at IS NULL AND NOT r.gone
    AND i.state ->> 'state' IN ('open', 'diagnosed', 'proposed', 'running', 'verifying')

-- name: latest
SELECT incident_id, max(seq) AS seq FROM incident_events WHERE incident_id = ANY(%(incident_ids)s) GROUP BY incident_id

-- name: unshown
SELECT p.*
FROM proposals AS p
WHERE p.created_at > %(since)s
    AND coalesce(p.plan ->> 'cluster', '') = %(cluster)s
    AND p.state IN ('approved', 'running', 'done', 'failed', 'unknown')
    AND NOT EXISTS (SELECT 1 FROM remediations AS r WHERE r.proposal_id = p.id)
ORDER BY p.created_at
LIMIT 100
