-- Runbook passages and lessons. tools/store/knowledge.py prepares the words (CamelCase and CJK split, accents removed).

CREATE TABLE knowledge (
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('runbook', 'lesson')),
    source text NOT NULL,
    ordinal integer NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    service text NOT NULL DEFAULT '',
    severity text NOT NULL DEFAULT '',
    incident_id bigint,
    link text NOT NULL DEFAULT '',
    record json,
    content_hash text NOT NULL,
    title_words text NOT NULL,
    body_words text NOT NULL,
    words tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title_words), 'A') || setweight(to_tsvector('simple', title_words), 'A')
        || setweight(to_tsvector('english', body_words), 'D') || setweight(to_tsvector('simple', body_words), 'D')
    ) STORED,
    -- No dimension: models differ in theirs. Rows are compared only with vectors of the same model; an HNSW index
    -- for one model is an expression index on embedding::halfvec(n) WHERE embedding_model = ..., added when it is worth it.
    embedding halfvec,
    embedding_model text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, source, ordinal)
);
CREATE INDEX knowledge_words ON knowledge USING gin (words);
CREATE INDEX knowledge_title ON knowledge USING gin (title_words gin_trgm_ops);
CREATE INDEX knowledge_service ON knowledge (service, severity);
