"""The store: Postgres through psycopg. One noun, one module and one file of named queries; records in, records out."""
