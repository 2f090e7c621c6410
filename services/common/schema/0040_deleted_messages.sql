-- How many messages a source has is told by indexes alone: all of them, less those that are deleted.
create index message_deleted on ingest.message (workspace_id, source_id) where deleted_at is not null;
