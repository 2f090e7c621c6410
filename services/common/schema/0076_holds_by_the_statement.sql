-- What holds is told by the time of the statement. That of the transaction stands still, and search keeps a transaction for the searches
-- that follow at once: what was replaced meanwhile was still found for a twentieth of a second.

create or replace function search.live_atoms(f search.filter, p_workspace uuid)
  returns table (id uuid, source_id uuid, sent_at timestamptz, text_sha256 bytea, words tsvector, type text, approval_state text,
    topic_id uuid, language text)
  language sql stable
begin atomic
  select a.id, a.source_id, a.valid_from, a.text_sha256, a.words, a.type, a.approval_state, a.topic_id, a.language
  from extractor.atom a
  where a.workspace_id = p_workspace and a.retired_at is null and a.approval_state <> 'rejected'
    and (a.valid_to is null or a.valid_to > statement_timestamp())
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

create or replace function search.count_documents(p_workspace uuid, p_kinds text[], p_terms tsquery[], p_limit int)
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
        and (a.valid_to is null or a.valid_to > statement_timestamp()) and a.words @@ t.query limit p_limit) x) c
  where 'atom' = any (p_kinds) and p_workspace = spine.current_workspace()
  union all
  select 'topic', t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
    select count(*) as n from (
      select from extractor.topic a
      where a.workspace_id = p_workspace and a.retired_at is null and a.words @@ t.query limit p_limit) x) c
  where 'topic' = any (p_kinds) and p_workspace = spine.current_workspace();
end;
