-- Makes the tasks that embed subjects which the same transaction has made: nobody can have asked for their vectors yet, so no
-- task is looked for. Otherwise as spine.enqueue_embedding_hinted; a subject must not be there twice.
create function spine.enqueue_embedding_new(
  p_workspace uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_again interval, p_lane int, p_ids uuid[]
) returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select spine.enqueue_backfill(p_workspace, g.id, p_kind, p_subjects, p_hashes)
  from embedder.generation g where g.state in ('building', 'standby') and cardinality(p_subjects) > 0;
  insert into spine.task as t (workspace_id, id, stage, subject_id, spec, hint_at, hint_count, lane)
  select p_workspace, x.id, 'embed', x.subject_id, p_kind || ':' || g.id || ':' || encode(x.hash, 'hex'), now() + p_again, 1, p_lane
  from unnest(p_subjects, p_hashes, p_ids) as x (subject_id, hash, id), embedder.generation g
  where g.state = 'serving'
  returning t.id;
end;

alter function spine.enqueue_embedding_new owner to winnow_workspace;
revoke execute on function spine.enqueue_embedding_new from public;
grant execute on function spine.enqueue_embedding_new to winnow_ingest;
