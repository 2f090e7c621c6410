-- The live subjects of a kind that have some words, found by the index of words: rows are secured by workspace, and where they are
-- read under that a match is not asked of an index. Whoever lists what satisfies a filter joins with these, taken to be few, since a
-- list ends where it gets too long to be compared.
create function search.containing(p_kind text, p_words tsquery) returns setof uuid
  language sql stable security definer rows 100 set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select m.id from ingest.message m
  where p_kind = 'message' and m.workspace_id = spine.current_workspace() and m.deleted_at is null and m.words @@ p_words
  union all
  select a.id from extractor.atom a
  where p_kind = 'atom' and a.workspace_id = spine.current_workspace() and a.retired_at is null and a.words @@ p_words
  union all
  select t.id from extractor.topic t
  where p_kind = 'topic' and t.workspace_id = spine.current_workspace() and t.retired_at is null and t.words @@ p_words;
end;
alter function search.containing owner to winnow_spine;
revoke execute on function search.containing from public;
grant execute on function search.containing to winnow_search;
