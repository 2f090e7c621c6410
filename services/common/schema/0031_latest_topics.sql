-- Topics are listed by their last message; those that have none stand where they were made.
create index topic_created on extractor.topic (workspace_id, created_at) where retired_at is null;
