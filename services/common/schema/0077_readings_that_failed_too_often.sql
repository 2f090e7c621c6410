-- Who asks for messages to be read has those conversations read as well whose reading failed too often. What asks by itself, after an edit or an
-- erasure, leaves the dead as they are.

-- As the function of the same name of 0070, which the release before this one calls; those that are dead are made ready if p_revive.
create function spine.enqueue_extraction(
  p_workspace uuid, p_windows uuid[], p_specs text[], p_lanes int[], p_reopen boolean, p_revive boolean
) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with wanted as (
    select u.subject_id, u.spec, min(u.lane) as lane
    from unnest(p_windows, p_specs, p_lanes) as u (subject_id, spec, lane) group by u.subject_id, u.spec),
  -- Two ways, because an update that changes nothing would still lock the tasks that others work on.
  made as (
    insert into spine.task (workspace_id, stage, subject_id, spec, hint_at, lane)
    select p_workspace, 'extract', x.subject_id, x.spec, now(), x.lane
    from wanted x where not (p_reopen or p_revive) order by x.subject_id, x.spec
    on conflict (workspace_id, stage, subject_id, spec) do nothing
    returning 1),
  made_or_reopened as (
    insert into spine.task as t (workspace_id, stage, subject_id, spec, hint_at, lane)
    select p_workspace, 'extract', x.subject_id, x.spec, now(), x.lane
    from wanted x where p_reopen or p_revive order by x.subject_id, x.spec
    on conflict (workspace_id, stage, subject_id, spec) do update
      set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 0,
          result_count = null, error_class = null, error = null, finished_at = null, lane = excluded.lane
      where p_reopen and t.state = 'done' or p_revive and t.state = 'dead'
    returning 1)
  select (select count(*) from made) + (select count(*) from made_or_reopened);
end;

alter function spine.enqueue_extraction(uuid, uuid[], text[], int[], boolean, boolean) owner to winnow_workspace;
revoke execute on function spine.enqueue_extraction(uuid, uuid[], text[], int[], boolean, boolean) from public;
grant execute on function spine.enqueue_extraction(uuid, uuid[], text[], int[], boolean, boolean) to winnow_extractor;
