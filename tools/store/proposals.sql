-- name: insert
INSERT INTO proposals (
    id, incident_id, action, params, plan, risk, reasons, why, evidence, digest, state, requested_by, created_at, expires_at,
    about, policy, needed
) VALUES (
    %(id)s, %(incident_id)s, %(action)s, %(params)s, %(plan)s, %(risk)s, %(reasons)s, %(why)s, %(evidence)s, %(digest)s,
    %(state)s, %(requested_by)s, %(created_at)s, %(expires_at)s, %(about)s, %(policy)s, %(needed)s
)

-- name: get
SELECT * FROM proposals WHERE id = %(id)s

-- name: lock
SELECT * FROM proposals WHERE id = %(id)s FOR UPDATE

-- name: for_incident
SELECT * FROM proposals WHERE incident_id = %(incident_id)s ORDER BY created_at, id

-- name: approve
INSERT INTO approvals (proposal_id, by, digest, decision, at, reason, policy, rule, broke_glass)
VALUES (%(proposal_id)s, %(by)s, %(digest)s, %(decision)s, %(at)s, %(reason)s, %(policy)s, %(rule)s, %(broke_glass)s)
ON CONFLICT (proposal_id, by, digest) DO UPDATE
SET
    decision = excluded.decision, at = excluded.at, reason = excluded.reason, policy = excluded.policy,
    rule = excluded.rule, broke_glass = excluded.broke_glass
WHERE excluded.decision = 'rejected' OR excluded.broke_glass

-- name: approvers
SELECT count(DISTINCT by) AS n
FROM approvals
WHERE proposal_id = %(proposal_id)s AND digest = %(digest)s AND decision = 'approved'

-- name: approvals
SELECT proposal_id, by, digest, decision, at, reason, policy, rule, broke_glass
FROM approvals
WHERE proposal_id = %(proposal_id)s
ORDER BY at, by

-- name: mark
UPDATE proposals SET state = %(state)s WHERE id = %(id)s AND state = ANY(%(from_states)s) RETURNING id

-- name: claim
UPDATE proposals AS p
SET state = 'running'
WHERE
    p.id = %(id)s AND p.state = 'approved' AND p.digest = %(digest)s AND p.expires_at > %(now)s
    AND (
        SELECT count(DISTINCT a.by)
        FROM approvals a
        WHERE
            a.proposal_id = p.id AND a.digest = p.digest AND a.decision = 'approved'
            AND (p.risk < 3 OR a.by <> p.requested_by)
    ) >= greatest(
        CASE WHEN p.risk >= 4 THEN 2 ELSE 1 END,
        CASE
            WHEN EXISTS (
                SELECT 1
                FROM approvals g
                WHERE g.proposal_id = p.id AND g.digest = p.digest AND g.decision = 'approved' AND g.broke_glass
            ) THEN 1
            ELSE p.needed
        END
    )
RETURNING p.*

-- name: due
SELECT * FROM proposals
WHERE state IN ('proposed', 'approved') AND expires_at <= %(now)s
ORDER BY expires_at
LIMIT 100

-- name: supersede
UPDATE proposals
SET state = 'superseded'
WHERE incident_id = %(incident_id)s AND id <> %(except_id)s AND state IN ('proposed', 'approved')
RETURNING *
