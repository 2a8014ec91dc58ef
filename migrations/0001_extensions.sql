-- What search needs: vectors (pgvector) and trigrams. Both are trusted or allow-listed on the usual managed services.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
