-- Whoever reads many rows is told the workspace. That a setting says which it is was found out anew for every row that no index had
-- picked by workspace, and took as long as the rest of reading it: half of what counting the words of a query took, and a third of a
-- facet. The functions without a workspace are for the release before this one.

-- Live messages, atoms and topics of a workspace, as those of 0014 and 0016; security by row holds them to that of the transaction.
create function search.live_messages(f search.filter, p_workspace uuid)
  returns table (id uuid, source_id uuid, thread_id text, sent_at timestamptz, text_sha256 bytea, words tsvector,
    author_external_id text, author_name text, importance_label text, language text)
  language sql stable
begin atomic
  select m.id, m.source_id, m.thread_id, m.sent_at, m.text_sha256, m.words, m.author_external_id, m.author_name,
    m.importance_label, m.language
  from ingest.message m
  where m.workspace_id = p_workspace and m.deleted_at is null
    and ((f).source_ids is null or m.source_id = any ((f).source_ids))
    and ((f).author_ids is null or m.author_external_id = any ((f).author_ids))
    and ((f).sent_after is null or m.sent_at >= (f).sent_after)
    and ((f).sent_before is null or m.sent_at < (f).sent_before)
    and ((f).labels is null or m.importance_label = any ((f).labels))
    and ((f).thread_ids is null or m.thread_id = any ((f).thread_ids))
    and ((f).topic_ids is null or exists (
      select from extractor.topic_message t
      where t.workspace_id = m.workspace_id and t.message_id = m.id and t.topic_id = any ((f).topic_ids)))
    and ((f).words is null or m.words @@ (f).words);
end;

create function search.live_atoms(f search.filter, p_workspace uuid)
  returns table (id uuid, source_id uuid, sent_at timestamptz, text_sha256 bytea, words tsvector, type text, approval_state text,
    topic_id uuid, language text)
  language sql stable
begin atomic
  select a.id, a.source_id, a.valid_from, a.text_sha256, a.words, a.type, a.approval_state, a.topic_id, a.language
  from extractor.atom a
  where a.workspace_id = p_workspace and a.retired_at is null and a.approval_state <> 'rejected'
    and (a.valid_to is null or a.valid_to > now())
    and ((f).source_ids is null or a.source_id = any ((f).source_ids) or exists (
      select from extractor.atom_evidence e
      join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id and m.deleted_at is null
      where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is not null
        and m.source_id = any ((f).source_ids)))
    and ((f).sent_after is null or a.valid_from >= (f).sent_after)
    and ((f).sent_before is null or a.valid_from < (f).sent_before)
    and ((f).atom_types is null or a.type = any ((f).atom_types))
    and ((f).topic_ids is null or a.topic_id = any ((f).topic_ids))
    and ((f).author_ids is null and (f).thread_ids is null or exists (
      select from extractor.atom_evidence e
      join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id and m.deleted_at is null
      where e.workspace_id = a.workspace_id and e.atom_id = a.id
        and ((f).author_ids is null or m.author_external_id = any ((f).author_ids))
        and ((f).thread_ids is null or m.thread_id = any ((f).thread_ids))))
    and ((f).words is null or a.words @@ (f).words);
end;

create function search.live_topics(f search.filter, p_workspace uuid)
  returns table (id uuid, source_id uuid, text_sha256 bytea, words tsvector, language text)
  language sql stable
begin atomic
  select t.id, t.source_id, t.text_sha256, t.words, t.language from extractor.topic t
  where t.workspace_id = p_workspace and t.retired_at is null
    and ((f).source_ids is null or t.source_id = any ((f).source_ids) or exists (
      select from extractor.topic_message tm
      join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
      where tm.workspace_id = t.workspace_id and tm.topic_id = t.id and m.source_id = any ((f).source_ids)))
    and ((f).topic_ids is null or t.id = any ((f).topic_ids))
    and ((f).author_ids is null and (f).thread_ids is null and (f).sent_after is null and (f).sent_before is null or exists (
      select from extractor.topic_message tm
      join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
      where tm.workspace_id = t.workspace_id and tm.topic_id = t.id
        and ((f).author_ids is null or m.author_external_id = any ((f).author_ids))
        and ((f).thread_ids is null or m.thread_id = any ((f).thread_ids))
        and ((f).sent_after is null or m.sent_at >= (f).sent_after)
        and ((f).sent_before is null or m.sent_at < (f).sent_before)))
    and ((f).words is null or t.words @@ (f).words);
end;

create or replace function search.live_messages(f search.filter)
  returns table (id uuid, source_id uuid, thread_id text, sent_at timestamptz, text_sha256 bytea, words tsvector,
    author_external_id text, author_name text, importance_label text, language text)
  language sql stable
begin atomic
  select * from search.live_messages(f, spine.current_workspace());
end;

create or replace function search.live_atoms(f search.filter)
  returns table (id uuid, source_id uuid, sent_at timestamptz, text_sha256 bytea, words tsvector, type text, approval_state text,
    topic_id uuid, language text)
  language sql stable
begin atomic
  select * from search.live_atoms(f, spine.current_workspace());
end;

create or replace function search.live_topics(f search.filter)
  returns table (id uuid, source_id uuid, text_sha256 bytea, words tsvector, language text)
  language sql stable
begin atomic
  select * from search.live_topics(f, spine.current_workspace());
end;

-- These run as their owner, whom no row is hidden from: another workspace than that of the transaction has nothing.
create function search.count_documents(p_workspace uuid, p_kinds text[], p_terms tsquery[], p_limit int)
  returns table (kind text, term int, documents bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select 'message', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from ingest.message m
      where m.workspace_id = p_workspace and m.deleted_at is null and m.words @@ t.query limit p_limit) x) c
  where 'message' = any (p_kinds) and p_workspace = spine.current_workspace()
  union all
  select 'atom', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from extractor.atom a
      where a.workspace_id = p_workspace and a.retired_at is null and a.approval_state <> 'rejected'
        and (a.valid_to is null or a.valid_to > now()) and a.words @@ t.query limit p_limit) x) c
  where 'atom' = any (p_kinds) and p_workspace = spine.current_workspace()
  union all
  select 'topic', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from extractor.topic a
      where a.workspace_id = p_workspace and a.retired_at is null and a.words @@ t.query limit p_limit) x) c
  where 'topic' = any (p_kinds) and p_workspace = spine.current_workspace();
end;

create function search.match_documents(
  p_kinds text[], f search.filter, p_workspace uuid, p_any tsquery, p_terms tsquery[], p_weights float8[], p_saturation float8, p_length_share float8,
  p_length_typical float8, p_length_least int, p_scan_limit int, p_limit int
) returns table (kind text, id uuid, terms bigint, length int)
  language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
begin atomic
  with found as (
    (select 'message' as kind, m.id, m.words from search.live_messages(f, p_workspace) m
     where 'message' = any (p_kinds) and p_workspace = spine.current_workspace() and m.words @@ p_any limit p_scan_limit)
    union all
    (select 'atom', a.id, a.words from search.live_atoms(f, p_workspace) a
     where 'atom' = any (p_kinds) and p_workspace = spine.current_workspace() and a.words @@ p_any limit p_scan_limit)
    union all
    (select 'topic', t.id, t.words from search.live_topics(f, p_workspace) t
     where 'topic' = any (p_kinds) and p_workspace = spine.current_workspace() and t.words @@ p_any limit p_scan_limit))
  select d.kind, d.id, s.terms, length(d.words)
  from found d cross join lateral (
    select coalesce(sum(1::bigint << (t.n - 1)::int), 0)::bigint as terms, coalesce(sum(t.weight), 0) as weight
    from unnest(p_terms, p_weights) with ordinality as t (query, weight, n) where d.words @@ t.query) s
  order by s.weight / (1 + p_saturation * (1 - p_length_share + p_length_share * greatest(length(d.words), p_length_least) / p_length_typical)) desc, d.id
  limit p_limit;
end;

create function search.words_like(p_workspace uuid, p_start tsquery, p_prefix text, p_limit int) returns table (word text)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select distinct l.lexeme
  from (select m.words from ingest.message m
        where m.workspace_id = p_workspace and p_workspace = spine.current_workspace() and m.deleted_at is null and m.words @@ p_start limit p_limit) d
  cross join lateral unnest(d.words) as l
  where starts_with(l.lexeme, p_prefix)
  order by 1 limit p_limit;
end;

create function search.containing(p_workspace uuid, p_kind text, p_words tsquery) returns setof uuid
  language sql stable security definer rows 100 set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select m.id from ingest.message m
  where p_kind = 'message' and p_workspace = spine.current_workspace() and m.workspace_id = p_workspace and m.deleted_at is null and m.words @@ p_words
  union all
  select a.id from extractor.atom a
  where p_kind = 'atom' and p_workspace = spine.current_workspace() and a.workspace_id = p_workspace and a.retired_at is null and a.words @@ p_words
  union all
  select t.id from extractor.topic t
  where p_kind = 'topic' and p_workspace = spine.current_workspace() and t.workspace_id = p_workspace and t.retired_at is null and t.words @@ p_words;
end;

do $$
declare f record;
begin
  for f in select p.oid::regprocedure as name, p.prosecdef from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'search' and 'p_workspace' = any (p.proargnames)
             and p.proname in ('live_messages', 'live_atoms', 'live_topics', 'count_documents', 'match_documents', 'words_like', 'containing')
  loop
    execute format('revoke execute on function %s from public', f.name);
    execute format('grant execute on function %s to winnow_search, winnow_spine', f.name);
    if f.prosecdef then
      execute format('alter function %s owner to winnow_spine', f.name);
    end if;
  end loop;
end $$;
