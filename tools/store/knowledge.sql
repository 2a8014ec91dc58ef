-- name: upsert
INSERT INTO knowledge (
    id, kind, source, ordinal, title, text, service, severity, incident_id, link, record, content_hash,
    title_words, body_words
) VALUES (
    %(id)s, %(kind)s, %(source)s, %(ordinal)s, %(title)s, %(text)s, %(service)s, %(severity)s, %(incident_id)s, %(link)s,
    %(record)s, %(content_hash)s, %(title_words)s, %(body_words)s
)
ON CONFLICT (id) DO UPDATE SET
    title = excluded.title, text = excluded.text, service = excluded.service, severity = excluded.severity,
    incident_id = excluded.incident_id, link = excluded.link, record = excluded.record,
    content_hash = excluded.content_hash, title_words = excluded.title_words, body_words = excluded.body_words,
    embedding = CASE WHEN knowledge.content_hash = excluded.content_hash THEN knowledge.embedding END,
    embedding_model = CASE WHEN knowledge.content_hash = excluded.content_hash THEN knowledge.embedding_model ELSE '' END,
    updated_at = now()

-- name: sources
SELECT source, min(content_hash) AS content_hash FROM knowledge WHERE kind = 'runbook' GROUP BY source

-- name: remove_source
DELETE FROM knowledge WHERE kind = 'runbook' AND source = %(source)s

-- name: lock_runbooks
SELECT pg_advisory_xact_lock(hashtextextended('tocsin runbooks', 0))

-- name: lessons
SELECT record FROM knowledge
WHERE kind = 'lesson' AND (%(service)s::text IS NULL OR service = %(service)s)
ORDER BY updated_at DESC, id
LIMIT %(limit)s

-- name: count
SELECT kind, count(DISTINCT source) AS sources, count(*) AS passages, count(embedding) AS embedded
FROM knowledge
GROUP BY kind

-- name: by_ids
SELECT id, kind, source, title, text, service, severity, incident_id, link FROM knowledge WHERE id = ANY(%(ids)s)

-- name: lessons_of
SELECT id, (record ->> 'effectiveness')::float AS effectiveness
FROM knowledge
WHERE id = ANY(%(ids)s) AND kind = 'lesson'

-- A word counts the more the fewer passages have it (Robertson's idf, as in BM25) and the earlier it stands: ts_rank of
-- one word saturates with repetition and weighs the title. Long passages are damped as BM25 does with b = 0.5.
-- name: by_words
WITH q AS MATERIALIZED (
    SELECT min(place) AS number, plainto_tsquery('english', word) || plainto_tsquery('simple', word) AS query
    FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked (word, place)
    WHERE numnode(plainto_tsquery('english', word)) > 0
    GROUP BY query
),
size AS MATERIALIZED (
    SELECT greatest(count(*), 1)::float AS passages, greatest(avg(length(words)), 1)::float AS length
    FROM knowledge
),
hit AS (
    SELECT
        k.id,
        count(*) OVER (PARTITION BY q.number)::float AS among,
        ts_rank('{0.1, 0.2, 0.4, 1.0}', k.words, q.query) / (0.5 + 0.5 * length(k.words) / size.length) AS rank,
        size.passages
    FROM q JOIN knowledge k ON k.words @@ q.query CROSS JOIN size
    WHERE k.kind = ANY(%(kinds)s)
)
SELECT id, sum(ln(1 + (passages - among + 0.5) / (among + 0.5)) * rank) AS score
FROM hit
GROUP BY id
ORDER BY score DESC, id
LIMIT %(limit)s

-- name: by_likeness
SELECT id, source, kind, word_similarity(title_words, %(text)s) AS score
FROM knowledge
WHERE kind = ANY(%(kinds)s) AND word_similarity(title_words, %(text)s) >= %(least)s
ORDER BY score DESC, id
LIMIT %(limit)s

-- Exact nearest neighbours among the rows of the same model: right at any size, quick up to tens of thousands of rows.
-- name: by_vector
SELECT id, source, kind, 1 - (embedding <=> %(vector)s::halfvec) AS score
FROM knowledge
WHERE kind = ANY(%(kinds)s) AND embedding_model = %(model)s AND vector_dims(embedding) = vector_dims(%(vector)s::halfvec)
ORDER BY embedding <=> %(vector)s::halfvec, id
LIMIT %(limit)s

-- name: without_vector
SELECT id, title, text FROM knowledge
WHERE embedding IS NULL OR embedding_model <> %(model)s
ORDER BY updated_at DESC, id
LIMIT %(limit)s

-- name: set_vector
UPDATE knowledge SET embedding = %(vector)s::halfvec, embedding_model = %(model)s
WHERE id = %(id)s AND text = %(text)s
