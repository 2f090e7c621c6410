-- The few messages whose words may have gone from under an atom. Of those that are erased the extractor removes all.
create index message_revised on ingest.message (workspace_id, id) where erased_at is null and (deleted_at is not null or revised_at is not null);
