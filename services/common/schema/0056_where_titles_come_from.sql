-- Whether a person gave the title: by renaming the topic, or by splitting it off.
alter table extractor.topic_version
  add column is_persons boolean generated always as (change = 'edited' or change = 'parted' and version = 1) virtual;

-- What an erasure asks of topics: whose titles readings gave, which were parted from others, and which are out of use.

create index topic_version_run on extractor.topic_version (workspace_id, run_id) where run_id is not null;
create index topic_version_parted on extractor.topic_version (workspace_id, cause_topic_id) where version = 1 and change = 'parted';
create index topic_unused on extractor.topic (workspace_id, source_id) where retired_at is not null and merged_into is null;
