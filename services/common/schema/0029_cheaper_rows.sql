-- What a new message costs beside its row.

-- A fact about a batch is read and forgotten at once: compressing its ids costs more than storing them as they are.
alter table spine.event alter column payload set storage external;

-- Makes or reopens the tasks that embed subjects, those of the generation that serves as hinted already: their ids are
-- returned, and the caller publishes them after the commit. If it cannot, the relay does so once p_again has passed.
-- p_ids are the ids of such tasks that are new, one a subject: the database asks for randomness each time it makes one itself.
drop function spine.enqueue_embedding_hinted;
create function spine.enqueue_embedding_hinted(
  p_workspace uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_again interval, p_lane int default 0,
  p_ids uuid[] default null
) returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select spine.enqueue_backfill(p_workspace, g.id, p_kind, p_subjects, p_hashes)
  from embedder.generation g where g.state in ('building', 'standby') and cardinality(p_subjects) > 0;
  insert into spine.task as t (workspace_id, id, stage, subject_id, spec, hint_at, hint_count, lane)
  select distinct on (x.subject_id, s.spec) p_workspace, coalesce(x.id, uuidv7()), 'embed', x.subject_id, s.spec,
    now() + p_again, 1, p_lane
  from unnest(p_subjects, p_hashes, p_ids) as x (subject_id, hash, id), embedder.generation g,
    lateral (select p_kind || ':' || g.id || ':' || coalesce(encode(x.hash, 'hex'), 'gone') as spec) s
  where g.state = 'serving' order by x.subject_id, s.spec
  on conflict (workspace_id, stage, subject_id, spec) do update
    set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 1,
        result_count = null, error_class = null, error = null, finished_at = null, lane = excluded.lane
    where t.state = 'done'
  returning t.id;
end;

alter function spine.enqueue_embedding_hinted owner to winnow_workspace;
revoke execute on function spine.enqueue_embedding_hinted from public;
grant execute on function spine.enqueue_embedding_hinted to winnow_ingest;
