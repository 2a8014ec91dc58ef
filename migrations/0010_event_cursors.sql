-- How far each reader of the record (Kafka's topic of incident events) has come.

CREATE TABLE event_cursors (
    name text PRIMARY KEY,
    seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0)
);
