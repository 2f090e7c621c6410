-- Tasks whose maker publishes their first hint itself, messages without a check of each one's source, and writers of one source
-- that notice each other.

-- A source is found or made in the transaction that saves its messages, and never deleted. Checked by a foreign key it is
-- looked up, and the look-up planned, once for every message: a sixth of what a message costs.
alter table ingest.message drop constraint message_workspace_id_source_id_fkey;

-- Counts the writes of messages. Whoever has scored messages by what was stored at one count knows by another that it has changed;
-- and since every writer counts before it looks at what surrounds its messages, of two at once the second sees all of the first.
alter table ingest.source add column revision bigint not null default 0;

-- Makes or reopens the tasks that embed subjects, those of the generation that serves as hinted already: their ids are
-- returned, and the caller publishes them after the commit. If it cannot, the relay does so once p_again has passed.
create function spine.enqueue_embedding_hinted(p_workspace uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_again interval)
  returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select spine.enqueue_backfill(p_workspace, g.id, p_kind, p_subjects, p_hashes)
  from embedder.generation g where g.state in ('building', 'standby') and cardinality(p_subjects) > 0;
  insert into spine.task as t (workspace_id, stage, subject_id, spec, hint_at, hint_count)
  select distinct p_workspace, 'embed', x.subject_id,
    p_kind || ':' || g.id || ':' || coalesce(encode(x.hash, 'hex'), 'gone'), now() + p_again, 1
  from unnest(p_subjects, p_hashes) as x (subject_id, hash), embedder.generation g
  where g.state = 'serving' order by 3, 4
  on conflict (workspace_id, stage, subject_id, spec) do update
    set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 1,
        result_count = null, error_class = null, error = null, finished_at = null, lane = excluded.lane
    where t.state = 'done'
  returning t.id;
end;

alter function spine.enqueue_embedding_hinted owner to winnow_workspace;
revoke execute on function spine.enqueue_embedding_hinted from public;
grant execute on function spine.enqueue_embedding_hinted to winnow_ingest;
