-- name: made
SELECT max(e.at) AS at, p.*
FROM incident_events e JOIN proposals p ON p.id = e.body ->> 'proposal_id'
WHERE e.kind = 'run_started' AND e.at > %(since)s AND p.state IN ('running', 'done', 'unknown') AND p.id <> %(except_id)s
GROUP BY p.id
ORDER BY 1
LIMIT 1000

-- name: in_flight
SELECT p.*
FROM proposals p JOIN incidents i ON i.id = p.incident_id
WHERE
    p.id <> %(except_id)s
    AND (
        p.state IN ('approved', 'running')
        OR (p.state IN ('done', 'unknown') AND i.state ->> 'state' = 'verifying' AND i.state ->> 'proposal_id' = p.id)
    )
ORDER BY p.created_at DESC
LIMIT 200

-- name: without_effect
SELECT count(*) AS n
FROM proposals p
WHERE
    p.action = %(action)s AND p.plan ->> 'target' = %(target)s AND p.created_at > %(since)s
    AND (
        p.state = 'failed'
        OR EXISTS (
            SELECT 1
            FROM incident_events e
            WHERE
                e.incident_id = p.incident_id AND e.kind = 'verified'
                AND e.body -> 'verification' ->> 'proposal_id' = p.id
                AND e.body -> 'verification' ->> 'verdict' IN ('not_recovered', 'worse')
        )
    )
