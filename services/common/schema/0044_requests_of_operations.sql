-- What a request with an id asked for, so that another one with the same id is refused instead of being taken for a repeat. Unknown for
-- those from before.
alter table ingest.operation add column request_sha256 bytea;
