-- What search counts to weigh words are the atoms that it can find: a word that only rejected or superseded ones have occurs nowhere.

create or replace function search.count_documents(p_kinds text[], p_terms tsquery[], p_limit int)
  returns table (kind text, term int, documents bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select 'message', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from ingest.message m
      where m.workspace_id = spine.current_workspace() and m.deleted_at is null and m.words @@ t.query limit p_limit) x) c
  where 'message' = any (p_kinds)
  union all
  select 'atom', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from extractor.atom a
      where a.workspace_id = spine.current_workspace() and a.retired_at is null and a.approval_state <> 'rejected'
        and (a.valid_to is null or a.valid_to > now()) and a.words @@ t.query limit p_limit) x) c
  where 'atom' = any (p_kinds)
  union all
  select 'topic', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from extractor.topic a
      where a.workspace_id = spine.current_workspace() and a.retired_at is null and a.words @@ t.query limit p_limit) x) c
  where 'topic' = any (p_kinds);
end;
