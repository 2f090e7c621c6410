-- Keys by which sources were known before they moved to others (a group of Telegram that became a supergroup), and how their
-- messages, which were numbered otherwise then, are called now. Written by ingest alone.
create table ingest.former_source (
  workspace_id uuid not null,
  kind text not null,
  external_id text not null,
  source_id uuid not null,
  -- Added to keys of messages that are whole numbers, where that makes them negative; the suffix follows.
  number_shift bigint not null check (number_shift <= 0),
  key_suffix text not null,
  moved_at timestamptz not null default now(),
  primary key (workspace_id, kind, external_id),
  foreign key (workspace_id, source_id) references ingest.source (workspace_id, id)
);
alter table ingest.former_source enable row level security;
alter table ingest.former_source force row level security;
create policy own_workspace on ingest.former_source
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
select spine.analyze_often('ingest.former_source');
grant select, insert on ingest.former_source to winnow_ingest;
