-- A backfill has a say in what waits already: a reconciliation has mostly asked for it before, and an earlier backfill may have
-- put it off for days.

-- What has no current vector and no task that is open or dead, so that nothing would ever make it; in order, after a subject.
-- Not counted are tasks of backfills that nobody has tried yet and that are due only after p_due_after; null counts them all.
create function spine.vectors_to_ask_for(
  p_workspace uuid, p_generation uuid, p_kinds text[], p_after uuid, p_limit bigint, p_due_after timestamptz
) returns table (kind text, subject_id uuid, text_sha256 bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select e.kind, e.subject_id, e.text_sha256 from spine.embeddable e
  where e.workspace_id = p_workspace and e.kind = any (p_kinds) and e.subject_id > p_after
    and not exists (
      select from embedder.vector v
      where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = e.kind
        and v.subject_id = e.subject_id and v.part = 0 and v.text_sha256 = e.text_sha256)
    and not exists (
      select from spine.task t
      where t.workspace_id = p_workspace and t.stage = 'embed' and t.subject_id = e.subject_id and t.state <> 'done'
        and t.spec = e.kind || ':' || p_generation || ':' || encode(e.text_sha256, 'hex')
        and not (p_due_after is not null and t.state = 'ready' and t.lane = 1 and t.attempts = 0 and t.error_class is null
          and t.available_at > p_due_after))
  order by e.subject_id limit p_limit;
end;

-- Makes the tasks that embed subjects in one generation, or reopens those that are done, behind all that is fresh; those that
-- nobody has tried yet and that are due only after p_due_after are put where these are. Returns how many.
create function spine.plan_backfill(
  p_workspace uuid, p_generation uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_available_at timestamptz,
  p_due_after timestamptz
) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with made as (
    insert into spine.task as t (workspace_id, stage, subject_id, spec, available_at, hint_at, lane)
    select distinct p_workspace, 'embed', x.subject_id,
      p_kind || ':' || p_generation || ':' || coalesce(encode(x.hash, 'hex'), 'gone'), p_available_at, p_available_at, 1
    from unnest(p_subjects, p_hashes) as x (subject_id, hash) order by 3, 4
    on conflict (workspace_id, stage, subject_id, spec) do update
      set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 0,
          result_count = null, error_class = null, error = null, finished_at = null, lane = excluded.lane
      where t.state = 'done' or t.state = 'ready' and t.lane = 1 and t.attempts = 0 and t.error_class is null
        and t.available_at > p_due_after
    returning 1)
  select count(*) from made;
end;

alter function spine.vectors_to_ask_for owner to winnow_spine;
alter function spine.plan_backfill owner to winnow_workspace;
revoke execute on function spine.vectors_to_ask_for, spine.plan_backfill from public;
grant execute on function spine.vectors_to_ask_for, spine.plan_backfill to winnow_embedder;
