-- What lists of tasks, of the audit record and of runs are asked for is looked for in indexes. The services read pages of all rows and kept what
-- was asked for, so that what is rare took reading everything.

-- Each index ends with the id, by which pages go on: a page is read in its order, from where the last one ended.

-- Only what has failed and is not done has a class, so that tasks that succeed, nearly all, cost it nothing. The stage comes first
-- because tasks that are not done are listed stage by stage, as task_open has them; of a class and a state the planner takes what is rarer.
create index task_failed on spine.task (workspace_id, stage, error_class, id) where error_class is not null;

-- Calls are asked for by their method alone as well. That is a column, since under row-level security PostgreSQL looks for nothing in an
-- index that takes a function which might tell what it is given; split_part is not known to be none.
alter table spine.audit add column method text not null generated always as (split_part(action, '/', -1)) stored;
create index audit_method on spine.audit (workspace_id, method, id);
create index audit_key on spine.audit (workspace_id, key_id, id) where key_id is not null;
create index audit_outcome on spine.audit (workspace_id, outcome, id) where outcome is not null;

-- Runs that went wrong are few, and told by their outcome.
create index run_outcome on extractor.run (workspace_id, outcome, id);

-- As spine.tasks of 0005, which the release before this one calls; also of a class of failure, and made in a span: in that from p_from to
-- before p_until, which ids between p_after and p_before are of, too.
create function spine.tasks(p_workspace uuid, p_state text, p_stage text, p_error_class text, p_from timestamptz, p_until timestamptz,
    p_after uuid, p_before uuid, p_limit int)
  returns table (id uuid, stage text, subject_id uuid, spec text, state text, attempts int, error_class text, error text,
    created_at timestamptz, available_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
begin atomic
  select t.id, t.stage, t.subject_id, t.spec, t.state, t.attempts, coalesce(t.error_class, ''), coalesce(t.error, ''),
    t.created_at, t.available_at
  from spine.task t
  where t.workspace_id = p_workspace and (p_state = '' or t.state = p_state) and (p_stage = '' or t.stage = p_stage)
    and (p_error_class = '' or t.error_class = p_error_class)
    and (p_from is null or t.created_at >= p_from) and (p_until is null or t.created_at < p_until)
    and (p_after is null or t.id > p_after) and (p_before is null or t.id < p_before)
  order by t.id limit p_limit;
end;

-- The key with a public part; null if the workspace has none. Asked first, since the planner knows how rare an id is that it is given, and
-- not one that it would have to look for.
create function spine.key_with_prefix(p_workspace uuid, p_prefix text) returns uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select k.id from spine.api_key k where k.workspace_id = p_workspace and k.prefix = p_prefix;
end;

-- As spine.actions of 0012, which the release before this one calls; also by a key, by a method or a whole action, by an outcome, and begun
-- in a span. An action without a slash is a method.
create function spine.actions(p_workspace uuid, p_key uuid, p_action text, p_outcome text, p_from timestamptz, p_until timestamptz,
    p_after uuid, p_before uuid, p_limit int)
  returns table (id uuid, begun_at timestamptz, ended_at timestamptz, key_prefix text, key_name text, login text, peer text,
    action text, request jsonb, outcome text)
  language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
begin atomic
  select a.id, a.begun_at, a.ended_at, coalesce(k.prefix, ''), coalesce(k.name, ''), a.login, a.peer, a.action, a.request,
    coalesce(a.outcome, '')
  from spine.audit a left join spine.api_key k on k.workspace_id = a.workspace_id and k.id = a.key_id
  where a.workspace_id = p_workspace
    and (p_key is null or a.key_id = p_key)
    and (p_action = '' or a.method = split_part(p_action, '/', -1)) and (strpos(p_action, '/') = 0 or a.action = p_action)
    and (p_outcome = '' or a.outcome = p_outcome)
    and (p_from is null or a.begun_at >= p_from) and (p_until is null or a.begun_at < p_until)
    and (p_after is null or a.id > p_after) and (p_before is null or a.id < p_before)
  order by a.id desc limit p_limit;
end;

do $$
declare f record;
begin
  for f in select p.oid::regprocedure as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'spine' and (p.proname in ('tasks', 'actions') and p.pronargs = 9 or p.proname = 'key_with_prefix')
  loop
    execute format('alter function %s owner to winnow_workspace', f.name);
    execute format('revoke execute on function %s from public', f.name);
    execute format('grant execute on function %s to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search', f.name);
  end loop;
end $$;
