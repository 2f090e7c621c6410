-- Erasing many messages is a stage of tasks, a bounded chunk each. What is to go is written down when it is asked for: from then on no
-- call returns it and no later version of it is stored, and messages that come afterwards are new.

-- A row a message until its chunk is erased. Without a foreign key, which would be a check for each of very many rows: a message is
-- never removed, and an operation neither.
create table ingest.message_to_erase (
  workspace_id uuid not null,
  message_id uuid not null,
  operation_id uuid not null,
  primary key (workspace_id, message_id, operation_id)
);
alter table ingest.message_to_erase enable row level security;
alter table ingest.message_to_erase force row level security;
create policy own_workspace on ingest.message_to_erase
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
grant select, insert, delete on ingest.message_to_erase to winnow_ingest;
grant select on ingest.message_to_erase to winnow_search, winnow_extractor;

-- When the messages went: chunks of one operation may be minutes apart.
alter table ingest.erasure add column created_at timestamptz not null default now();

create or replace function spine.operation_tasks(p_workspace uuid, p_operations uuid[])
  returns table (operation_id uuid, open bigint, dead bigint, finished_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.subject_id, count(*) filter (where t.state in ('ready', 'leased')), count(*) filter (where t.state = 'dead'),
    max(t.finished_at)
  from spine.task t
  where t.workspace_id = p_workspace and t.stage in ('erase', 'erase_extractor', 'erase_embedder', 'rescore')
    and t.subject_id = any (p_operations)
  group by t.subject_id;
end;
