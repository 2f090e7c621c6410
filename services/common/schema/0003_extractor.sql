-- What conversations teach. Written by the extractor alone.

-- Messages that wait in an open window of their conversation.
create table extractor.pending_message (
  workspace_id uuid not null,
  message_id uuid not null,
  source_id uuid not null,
  thread_id text not null,
  sent_at timestamptz not null,
  received_at timestamptz not null,
  primary key (workspace_id, message_id)
);
create index pending_conversation on extractor.pending_message (workspace_id, source_id, thread_id, sent_at, message_id);

-- A closed run of one conversation.
create table extractor.conversation_window (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  source_id uuid not null,
  thread_id text not null,
  -- Why it was closed: count, idle, age or request.
  closed_by text not null check (closed_by in ('count', 'idle', 'age', 'request')),
  first_sent_at timestamptz not null,
  last_sent_at timestamptz not null,
  message_count int not null,
  noise_count int not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create index window_conversation on extractor.conversation_window (workspace_id, source_id, thread_id, last_sent_at, id);

-- Each message belongs to one window; a later window may repeat it as context.
create table extractor.window_message (
  workspace_id uuid not null,
  message_id uuid not null,
  window_id uuid not null,
  position int not null,
  primary key (workspace_id, message_id),
  foreign key (workspace_id, window_id) references extractor.conversation_window (workspace_id, id)
);
create index window_message_order on extractor.window_message (workspace_id, window_id, position);

create table extractor.run (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  window_id uuid not null,
  -- The task that made it, and its result count: a gauge compares them.
  task_id uuid not null,
  engine text not null,
  model text not null default '',
  prompt_version text not null default '',
  outcome text not null check (outcome in ('ok', 'empty', 'invalid', 'cut_off', 'ungrounded')),
  tokens_in bigint not null default 0,
  tokens_out bigint not null default 0,
  model_calls int not null default 0,
  duration_seconds double precision not null,
  message_count int not null,
  noise_count int not null,
  atom_count int not null,
  rejected jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (workspace_id, id),
  foreign key (workspace_id, window_id) references extractor.conversation_window (workspace_id, id)
);
create index run_window on extractor.run (workspace_id, window_id, id);

create table extractor.topic (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  source_id uuid not null,
  title text not null,
  -- The title folded for comparison: the same key within a source is the same topic.
  title_key text not null,
  text_sha256 bytea not null check (length(text_sha256) = 32),
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  retired_at timestamptz,
  words tsvector not null generated always as (spine.words(title)) stored,
  primary key (workspace_id, id)
);
create unique index topic_key on extractor.topic (workspace_id, source_id, title_key) where retired_at is null;
create index topic_words on extractor.topic using gin (words) where retired_at is null;

create table extractor.topic_version (
  workspace_id uuid not null,
  topic_id uuid not null,
  version int not null,
  title text not null,
  run_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, topic_id, version),
  foreign key (workspace_id, topic_id) references extractor.topic (workspace_id, id)
);

create table extractor.topic_message (
  workspace_id uuid not null,
  topic_id uuid not null,
  message_id uuid not null,
  window_id uuid not null,
  primary key (workspace_id, topic_id, message_id),
  foreign key (workspace_id, topic_id) references extractor.topic (workspace_id, id)
);
create index topic_message_message on extractor.topic_message (workspace_id, message_id);
create index topic_message_window on extractor.topic_message (workspace_id, window_id);

create table extractor.atom (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  source_id uuid not null,
  window_id uuid not null,
  topic_id uuid,
  type text not null check (type in
    ('problem', 'solution', 'decision', 'question', 'insight', 'idea', 'blocker', 'risk', 'requirement', 'pattern')),
  title text not null,
  content text not null,
  text_sha256 bytea not null check (length(text_sha256) = 32),
  confidence real not null check (confidence between 0 and 1),
  approval_state text not null default 'proposed' check (approval_state in ('proposed', 'approved', 'rejected')),
  version int not null default 1,
  valid_from timestamptz not null,
  valid_to timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Set when its window was read again without it, or its evidence is gone; a retired atom is kept but not live.
  retired_at timestamptz,
  words tsvector not null generated always as (spine.words(title || E'\n' || content)) stored,
  primary key (workspace_id, id),
  foreign key (workspace_id, window_id) references extractor.conversation_window (workspace_id, id),
  foreign key (workspace_id, topic_id) references extractor.topic (workspace_id, id)
);
create index atom_window on extractor.atom (workspace_id, window_id);
create index atom_topic on extractor.atom (workspace_id, topic_id) where retired_at is null;
create index atom_words on extractor.atom using gin (words) where retired_at is null;

create table extractor.atom_version (
  workspace_id uuid not null,
  atom_id uuid not null,
  version int not null,
  type text not null,
  title text not null,
  content text not null,
  approval_state text not null default 'proposed',
  run_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, atom_id, version),
  foreign key (workspace_id, atom_id) references extractor.atom (workspace_id, id)
);

create table extractor.atom_evidence (
  workspace_id uuid not null,
  atom_id uuid not null,
  message_id uuid not null,
  position int not null,
  quote text not null,
  -- Where the quote starts, in code points from the start of the message's text.
  quote_offset int not null check (quote_offset >= 0),
  primary key (workspace_id, atom_id, message_id),
  foreign key (workspace_id, atom_id) references extractor.atom (workspace_id, id)
);
create index evidence_message on extractor.atom_evidence (workspace_id, message_id);

create table extractor.atom_link (
  workspace_id uuid not null,
  from_atom_id uuid not null,
  to_atom_id uuid not null,
  type text not null check (type in ('solves', 'supports', 'contradicts', 'continues', 'refines', 'relates_to', 'depends_on')),
  confidence real not null check (confidence between 0 and 1),
  run_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, from_atom_id, to_atom_id, type),
  foreign key (workspace_id, from_atom_id) references extractor.atom (workspace_id, id),
  foreign key (workspace_id, to_atom_id) references extractor.atom (workspace_id, id),
  check (from_atom_id <> to_atom_id)
);
create index link_target on extractor.atom_link (workspace_id, to_atom_id);
