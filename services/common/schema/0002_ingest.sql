-- What came in. Written by ingest alone.

create table ingest.source (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  kind text not null check (kind in ('telegram', 'import', 'api')),
  external_id text not null,
  title text not null default '',
  created_at timestamptz not null default now(),
  primary key (workspace_id, id),
  unique (workspace_id, kind, external_id)
);

create table ingest.message (
  workspace_id uuid not null,
  id uuid not null,
  source_id uuid not null,
  external_id text not null,
  thread_id text not null default '',
  reply_to_external_id text not null default '',
  author_external_id text not null default '',
  author_name text not null default '',
  author_is_bot boolean not null default false,
  text text not null,
  sent_at timestamptz not null,
  edited_at timestamptz,
  deleted_at timestamptz,
  received_at timestamptz not null default now(),
  entities jsonb,
  attachments jsonb,
  -- sha256 of all that the sender decides; with edited_at it orders the versions of a message.
  content_sha256 bytea not null check (length(content_sha256) = 32),
  -- sha256 of the text alone: what a vector is made of.
  text_sha256 bytea not null check (length(text_sha256) = 32),
  importance_score real not null,
  importance_label text not null check (importance_label in ('noise', 'weak', 'signal')),
  importance_factors jsonb not null,
  importance_version text not null,
  words tsvector not null generated always as (spine.words(text)) stored,
  primary key (workspace_id, id),
  unique (workspace_id, source_id, external_id),
  foreign key (workspace_id, source_id) references ingest.source (workspace_id, id)
);

create index message_sent on ingest.message (workspace_id, sent_at, id);
create index message_conversation on ingest.message (workspace_id, source_id, thread_id, sent_at, id);
-- What must have a vector, without reading the texts themselves: the gauges count it all.
create index message_embeddable on ingest.message (workspace_id, id) include (text_sha256, importance_label)
  where deleted_at is null and text <> '';
create index message_empty on ingest.message (workspace_id, id) include (importance_label) where deleted_at is null and text = '';
create index message_words on ingest.message using gin (words) where deleted_at is null;
