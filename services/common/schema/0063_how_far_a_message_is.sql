-- How far one message is: whether it has its vector in the serving generation, whether its conversation was read, what is open for it, and
-- what rests on it. Owned as what acts for one workspace; no row if there is no such message.
grant select (workspace_id, id, text, text_sha256, deleted_at) on ingest.message to winnow_workspace;
grant select on extractor.pending_message, extractor.window_message, extractor.topic_message to winnow_workspace;
grant select (workspace_id, atom_id, message_id) on extractor.atom_evidence to winnow_workspace;

create function spine.message_state(p_workspace uuid, p_message uuid)
  returns table (embeddable boolean, embedded boolean, pending boolean, window_id uuid, read boolean, atom_ids uuid[], topic_ids uuid[])
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select m.deleted_at is null and m.text <> '',
    exists (select from embedder.vector v join embedder.generation g on g.id = v.generation_id and g.state = 'serving'
      where v.workspace_id = p_workspace and v.kind = 'message' and v.subject_id = m.id and v.part = 0 and v.text_sha256 = m.text_sha256),
    exists (select from extractor.pending_message p where p.workspace_id = p_workspace and p.message_id = m.id),
    w.window_id,
    exists (select from extractor.run r where r.workspace_id = p_workspace and r.window_id = w.window_id),
    array (select a.id from extractor.atom_evidence e join extractor.atom a on a.workspace_id = p_workspace and a.id = e.atom_id
      where e.workspace_id = p_workspace and e.message_id = m.id and a.retired_at is null order by a.id limit 100),
    array (select t.id from extractor.topic_message tm join extractor.topic t on t.workspace_id = p_workspace and t.id = tm.topic_id
      where tm.workspace_id = p_workspace and tm.message_id = m.id and t.retired_at is null order by t.id limit 100)
  from ingest.message m
  left join extractor.window_message w on w.workspace_id = p_workspace and w.message_id = m.id
  where m.workspace_id = p_workspace and m.id = p_message;
end;
alter function spine.message_state owner to winnow_workspace;

-- What is not done of the work on one message or window, oldest first.
create function spine.tasks_of(p_workspace uuid, p_subjects uuid[])
  returns table (id uuid, stage text, subject_id uuid, spec text, state text, attempts int, error_class text, error text,
    created_at timestamptz, available_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.id, t.stage, t.subject_id, t.spec, t.state, t.attempts, coalesce(t.error_class, ''), coalesce(t.error, ''),
    t.created_at, t.available_at
  from spine.task t
  where t.workspace_id = p_workspace and t.stage in ('embed', 'extract') and t.subject_id = any (p_subjects) and t.state <> 'done'
  order by t.id limit 100;
end;
alter function spine.tasks_of owner to winnow_workspace;

revoke execute on function spine.message_state, spine.tasks_of from public;
grant execute on function spine.message_state, spine.tasks_of to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;
