-- A workspace that PostgreSQL's statistics do not know, for it is new or small beside others, is planned for as if it had one row. Joins then
-- compared each row with all: to find which of 188 citations prove nothing any more took a second, and more of them to the third power. What the
-- statistics are not asked about is the workspace's id as a subquery gives it: it is planned for as one of average size.
create or replace function search.unfounded_atoms() returns setof uuid
  language sql stable security definer rows 10 set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select distinct e.atom_id
  from (
    select c.id from ingest.message c
    where c.workspace_id = (select spine.current_workspace()) and c.erased_at is null
      and (c.deleted_at is not null or c.revised_at is not null)
    union all
    select t.message_id from ingest.message_to_erase t where t.workspace_id = (select spine.current_workspace())) c
  join extractor.atom_evidence e on e.workspace_id = (select spine.current_workspace()) and e.message_id = c.id
  where not exists (
      select from extractor.atom_evidence o
      join ingest.message m on m.workspace_id = o.workspace_id and m.id = o.message_id and m.deleted_at is null
        and not exists (select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
      where o.workspace_id = e.workspace_id and o.atom_id = e.atom_id and strpos(m.text, o.quote) > 0);
end;

-- A few dead tasks that somebody replays are done before what waits in backfills and in history, where they may have been; more keep their places.

-- As the function of the same name of 0001, which the release before this one calls; those that are replayed are in the lane of what is fresh if
-- p_soon.
create function spine.replay(p_workspace uuid, p_stage text, p_ids uuid[], p_dry_run boolean, p_soon boolean) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with chosen as (
    select t.id from spine.task t
    where t.workspace_id = p_workspace and t.state = 'dead' and (p_stage = '' or t.stage = p_stage)
      and (cardinality(p_ids) = 0 or t.id = any (p_ids))
    order by t.id for update),
  replayed as (
    update spine.task t
    set state = 'ready', attempts = 0, available_at = now(), hint_at = now(), hint_count = 0, finished_at = null,
        lane = case when p_soon then 0 else t.lane end
    from chosen where not p_dry_run and t.workspace_id = p_workspace and t.id = chosen.id
    returning 1)
  select case when p_dry_run then (select count(*) from chosen) else (select count(*) from replayed) end;
end;

alter function spine.replay(uuid, text, uuid[], boolean, boolean) owner to winnow_workspace;
revoke execute on function spine.replay(uuid, text, uuid[], boolean, boolean) from public;
grant execute on function spine.replay(uuid, text, uuid[], boolean, boolean) to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;

-- A reading that its window has outrun is left to a newer task: it ends without a run, and is not held against what an earlier one of the same
-- task has found. What is written in one transaction has one time.
create or replace function spine.gauges_of_work(p_workspace uuid)
  returns table (extractions_inconsistent bigint, leases_expired bigint, messages_in_open_windows bigint, tokens_spent bigint, serving_model text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select
    (select count(*) from (
        select distinct on (r.task_id) r.task_id, r.atom_count, r.created_at from extractor.run r
        where r.workspace_id = p_workspace order by r.task_id, r.id desc) last
      join spine.task t on t.workspace_id = p_workspace and t.id = last.task_id
      where t.stage = 'extract' and t.state = 'done' and t.finished_at = last.created_at and t.result_count <> last.atom_count),
    (select count(*) from spine.task t where t.workspace_id = p_workspace and t.state = 'leased' and t.lease_until < now() - interval '2 minutes'),
    (select count(*) from extractor.pending_message p where p.workspace_id = p_workspace),
    (select coalesce(sum(s.tokens_in + s.tokens_out), 0)::bigint from extractor.spent s where s.workspace_id = p_workspace),
    coalesce((select g.model from embedder.generation g where g.state = 'serving'), '');
end;
