-- Who replies to a message whose text comes later, or has changed.
create index message_replies on ingest.message (workspace_id, source_id, reply_to_external_id) where reply_to_external_id <> '';
