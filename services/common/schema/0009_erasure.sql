-- Erasing and rescoring: long-running operations of ingest, and what each owner of tables reports of its part.

-- Set once the message's text and author are gone for good: no later version of it is stored.
alter table ingest.message add column erased_at timestamptz;

create table ingest.operation (
  workspace_id uuid not null,
  id uuid not null default uuidv7(),
  kind text not null check (kind in ('erase', 'rescore')),
  dry_run boolean not null default false,
  -- What a rescore is about; null for everything.
  source_id uuid,
  sent_after timestamptz,
  sent_before timestamptz,
  request_id uuid,
  created_at timestamptz not null default now(),
  primary key (workspace_id, id),
  foreign key (workspace_id, source_id) references ingest.source (workspace_id, id)
);
create unique index operation_request on ingest.operation (workspace_id, request_id) where request_id is not null;

-- The messages of an operation, in chunks: a task each for every owner of what was made of them.
create table ingest.erasure (
  workspace_id uuid not null,
  operation_id uuid not null,
  chunk int not null,
  message_ids uuid[] not null,
  primary key (workspace_id, operation_id, chunk),
  foreign key (workspace_id, operation_id) references ingest.operation (workspace_id, id)
);

-- One batch of a rescore: what it found, and after which message the next one starts.
create table ingest.rescored_batch (
  workspace_id uuid not null,
  operation_id uuid not null,
  batch int not null,
  source_id uuid not null,
  thread_id text not null,
  sent_at timestamptz not null,
  message_id uuid not null,
  messages int not null,
  scores_changed int not null,
  became_noise int not null,
  became_weak int not null,
  became_signal int not null,
  primary key (workspace_id, operation_id, batch),
  foreign key (workspace_id, operation_id) references ingest.operation (workspace_id, id)
);

create table extractor.erasure (
  workspace_id uuid not null,
  operation_id uuid not null,
  chunk int not null,
  evidence int not null,
  topic_links int not null,
  window_memberships int not null,
  -- Atoms that rested on nothing else, and those whose windows are read again.
  atoms int not null,
  atoms_read_again int not null,
  -- All that was removed, retired rows too: their vectors must go.
  atom_ids uuid[] not null,
  topic_ids uuid[] not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, operation_id, chunk),
  foreign key (workspace_id, operation_id) references ingest.operation (workspace_id, id)
);

create table embedder.erasure (
  workspace_id uuid not null,
  operation_id uuid not null,
  -- Whose vectors: those of a chunk's messages, or of the atoms and topics that were removed for it.
  of_what text not null check (of_what in ('messages', 'knowledge')),
  chunk int not null,
  vectors int not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, operation_id, of_what, chunk),
  foreign key (workspace_id, operation_id) references ingest.operation (workspace_id, id)
);

do $$
declare name text;
begin
  foreach name in array array['ingest.operation', 'ingest.erasure', 'ingest.rescored_batch', 'extractor.erasure', 'embedder.erasure'] loop
    execute format('alter table %s enable row level security', name);
    execute format('alter table %s force row level security', name);
    execute format('create policy own_workspace on %s using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace())', name);
    execute format('create policy spine_sees_all on %s to winnow_spine using (true) with check (true)', name);
    execute format('grant select on %s to winnow_spine', name);
  end loop;
end $$;

grant select, insert on ingest.operation, ingest.erasure, ingest.rescored_batch to winnow_ingest;
grant select on ingest.erasure to winnow_extractor, winnow_embedder;
grant select, insert on extractor.erasure to winnow_extractor;
grant select on extractor.erasure to winnow_embedder;
grant select, insert on embedder.erasure to winnow_embedder;

-- How far operations are: their tasks that are open or dead, and when the last one ended.
create function spine.operation_tasks(p_workspace uuid, p_operations uuid[])
  returns table (operation_id uuid, open bigint, dead bigint, finished_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.subject_id, count(*) filter (where t.state in ('ready', 'leased')), count(*) filter (where t.state = 'dead'),
    max(t.finished_at)
  from spine.task t
  where t.workspace_id = p_workspace and t.stage in ('erase_extractor', 'erase_embedder', 'rescore')
    and t.subject_id = any (p_operations)
  group by t.subject_id;
end;

-- What the owners have removed so far, and how many rows are still there that hold or name what was to be erased.
create function spine.erasure_receipt(p_workspace uuid, p_operation uuid)
  returns table (messages bigint, vectors bigint, evidence bigint, atoms bigint, atoms_read_again bigint, topic_links bigint,
    window_memberships bigint, remaining bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  with erased as materialized (
    select x.id from ingest.erasure e cross join lateral unnest(e.message_ids) as x (id)
    where e.workspace_id = p_workspace and e.operation_id = p_operation),
  report as (
    select coalesce(sum(r.evidence), 0)::bigint as evidence, coalesce(sum(r.atoms), 0)::bigint as atoms,
      coalesce(sum(r.atoms_read_again), 0)::bigint as atoms_read_again, coalesce(sum(r.topic_links), 0)::bigint as topic_links,
      coalesce(sum(r.window_memberships), 0)::bigint as window_memberships
    from extractor.erasure r where r.workspace_id = p_workspace and r.operation_id = p_operation),
  removed as materialized (
    select 'atom' as kind, x.id from extractor.erasure r cross join lateral unnest(r.atom_ids) as x (id)
    where r.workspace_id = p_workspace and r.operation_id = p_operation
    union all
    select 'topic', x.id from extractor.erasure r cross join lateral unnest(r.topic_ids) as x (id)
    where r.workspace_id = p_workspace and r.operation_id = p_operation),
  subject as (select 'message' as kind, e.id from erased e union all select r.kind, r.id from removed r),
  held as (
    select count(*) as n from subject s cross join embedder.generation g
    join embedder.vector v on v.workspace_id = p_workspace and v.generation_id = g.id and v.kind = s.kind and v.subject_id = s.id),
  left_over as (
    select
      (select count(*) from erased e join ingest.message m on m.workspace_id = p_workspace and m.id = e.id
       where m.text <> '' or m.author_external_id <> '' or m.author_name <> '' or m.entities is not null
         or m.attachments is not null or m.importance_factors <> '{}' or m.deleted_at is null)
      + (select count(*) from erased e join extractor.atom_evidence x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from erased e join extractor.topic_message x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from erased e join extractor.window_message x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from erased e join extractor.pending_message x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from removed r join extractor.atom a on r.kind = 'atom' and a.workspace_id = p_workspace and a.id = r.id)
      + (select count(*) from removed r join extractor.atom_version a
         on r.kind = 'atom' and a.workspace_id = p_workspace and a.atom_id = r.id)
      + (select count(*) from removed r join extractor.topic t on r.kind = 'topic' and t.workspace_id = p_workspace and t.id = r.id)
      + (select n from held) as n)
  select (select count(*) from erased),
    (select coalesce(sum(b.vectors), 0)::bigint from embedder.erasure b
     where b.workspace_id = p_workspace and b.operation_id = p_operation),
    report.evidence, report.atoms, report.atoms_read_again, report.topic_links, report.window_memberships, left_over.n
  from report, left_over;
end;

alter function spine.operation_tasks owner to winnow_spine;
alter function spine.erasure_receipt owner to winnow_spine;
revoke execute on function spine.operation_tasks, spine.erasure_receipt from public;
grant execute on function spine.operation_tasks, spine.erasure_receipt to winnow_ingest;
grant execute on function spine.claim, spine.extend, spine.complete, spine.fail, spine.release to winnow_ingest;
