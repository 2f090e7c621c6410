-- What the query API reads: the language of texts, live rows with every attribute that conditions and facets name, and what waits.

-- The language of a text by its letters and its commonest words: en, uk, ru, or und for others and for what is too short to tell.
create function spine.language(p_text text) returns text
  language sql immutable parallel safe strict
begin atomic
  select case
    -- Names and code are Latin in any language, so a third of the letters decides.
    when octet_length(t.start) > length(t.start)
        and 3 * regexp_count(t.start, '[Ѐ-ӿ]') >= greatest(1, regexp_count(t.start, '[A-Za-z]')) then
      case sign(regexp_count(t.start, '[іїєґІЇЄҐ]') - regexp_count(t.start, '[ыэъёЫЭЪЁ]'))
        when 1 then 'uk'
        when -1 then 'ru'
        else case
          when t.start ~* '(^|[^Ѐ-ӿ])(що|як|це|але|чи|вже|так|треба|дуже|добре|дякую|немає|буде|був|була|було|тут|коли|хто)($|[^Ѐ-ӿ])' then 'uk'
          when t.start ~* '(^|[^Ѐ-ӿ])(что|как|это|но|или|уже|надо|очень|хорошо|спасибо|нет|если|будет|есть|тоже|когда|кто|да)($|[^Ѐ-ӿ])' then 'ru'
          else 'und' end end
    when t.start ~* '(^|[^A-Za-z])(the|is|are|was|of|and|to|it|this|that|what|how|why|you|i|we|with|for|have|has|not|do|does|can|but|my|yes|yeah|if|there|be|just|so|from|will|would|thanks|please|hello|hi|hey|ok|okay)($|[^A-Za-z])' then 'en'
    else 'und' end
  from (select left(p_text, 400) collate pg_c_utf8 as start) t;
end;

alter table ingest.message add column language text not null generated always as (spine.language(text)) stored;
alter table extractor.atom add column language text not null generated always as (spine.language(title || E'\n' || content)) stored;
alter table extractor.topic add column language text not null generated always as (spine.language(title)) stored;

drop function search.match_documents;
drop function search.live_messages;
drop function search.live_atoms;
drop function search.live_topics;
drop function search.freshness;

-- Live messages of the workspace that satisfy a filter. Planned as part of the query that calls it, like the two below; what a
-- filter cannot say is asked of the columns.
create function search.live_messages(f search.filter)
  returns table (id uuid, source_id uuid, thread_id text, sent_at timestamptz, text_sha256 bytea, words tsvector,
    author_external_id text, author_name text, importance_label text, language text)
  language sql stable
begin atomic
  select m.id, m.source_id, m.thread_id, m.sent_at, m.text_sha256, m.words, m.author_external_id, m.author_name,
    m.importance_label, m.language
  from ingest.message m
  where m.workspace_id = spine.current_workspace() and m.deleted_at is null
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

-- Atoms that hold now, nobody has rejected, and satisfy a filter.
create function search.live_atoms(f search.filter)
  returns table (id uuid, source_id uuid, sent_at timestamptz, text_sha256 bytea, words tsvector, type text, approval_state text,
    topic_id uuid, language text)
  language sql stable
begin atomic
  select a.id, a.source_id, a.valid_from, a.text_sha256, a.words, a.type, a.approval_state, a.topic_id, a.language
  from extractor.atom a
  where a.workspace_id = spine.current_workspace() and a.retired_at is null and a.approval_state <> 'rejected'
    and (a.valid_to is null or a.valid_to > now())
    and ((f).source_ids is null or a.source_id = any ((f).source_ids))
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

-- Topics that satisfy a filter; authors, threads and times are those of their live messages.
create function search.live_topics(f search.filter)
  returns table (id uuid, source_id uuid, text_sha256 bytea, words tsvector, language text)
  language sql stable
begin atomic
  select t.id, t.source_id, t.text_sha256, t.words, t.language from extractor.topic t
  where t.workspace_id = spine.current_workspace() and t.retired_at is null
    and ((f).source_ids is null or t.source_id = any ((f).source_ids))
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

-- The best p_limit of at most p_scan_limit live documents that match p_any: the bits of the terms in each (the first term is the
-- lowest bit) and the count of its distinct words. Best by weight of terms against length, as BM25 has it when a term counts once.
create function search.match_documents(
  p_kinds text[], f search.filter, p_any tsquery, p_terms tsquery[], p_weights float8[], p_saturation float8, p_length_share float8,
  p_length_typical float8, p_length_least int, p_scan_limit int, p_limit int
) returns table (kind text, id uuid, terms bigint, length int)
  language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
begin atomic
  with found as (
    (select 'message' as kind, m.id, m.words from search.live_messages(f) m
     where 'message' = any (p_kinds) and m.words @@ p_any limit p_scan_limit)
    union all
    (select 'atom', a.id, a.words from search.live_atoms(f) a
     where 'atom' = any (p_kinds) and a.words @@ p_any limit p_scan_limit)
    union all
    (select 'topic', t.id, t.words from search.live_topics(f) t
     where 'topic' = any (p_kinds) and t.words @@ p_any limit p_scan_limit))
  select d.kind, d.id, s.terms, length(d.words)
  from found d cross join lateral (
    select coalesce(sum(1::bigint << (t.n - 1)::int), 0)::bigint as terms, coalesce(sum(t.weight), 0) as weight
    from unnest(p_terms, p_weights) with ordinality as t (query, weight, n) where d.words @@ t.query) s
  order by s.weight / (1 + p_saturation * (1 - p_length_share + p_length_share * greatest(length(d.words), p_length_least) / p_length_typical)) desc, d.id
  limit p_limit;
end;

-- How many embeddings of the serving generation are still to be made, how many of them have died, and since when the oldest waits;
-- only those of tasks made up to a time.
create function search.freshness(p_generation uuid, p_until timestamptz default 'infinity')
  returns table (pending bigint, dead bigint, searchable_up_to timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select count(*), count(*) filter (where t.state = 'dead'), coalesce(min(t.created_at), now()) from spine.task t
  where t.workspace_id = spine.current_workspace() and t.stage = 'embed' and t.state <> 'done' and t.created_at <= p_until
    and split_part(t.spec, ':', 2) = p_generation::text and split_part(t.spec, ':', 3) <> 'gone';
end;

-- Whether a live message can be found by meaning: searchable (also if it has no text), pending or dead; null if there is none.
create function search.embedding_state(p_generation uuid, p_message uuid) returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select case
    when m.text = '' or exists (
      select from embedder.vector v
      where v.workspace_id = m.workspace_id and v.generation_id = p_generation and v.kind = 'message' and v.subject_id = m.id
        and v.text_sha256 = m.text_sha256) then 'searchable'
    when exists (
      select from spine.task t
      where t.workspace_id = m.workspace_id and t.stage = 'embed' and t.subject_id = m.id and t.state = 'dead'
        and t.spec = 'message:' || p_generation || ':' || encode(m.text_sha256, 'hex')) then 'dead'
    else 'pending' end
  from ingest.message m
  where m.workspace_id = spine.current_workspace() and m.id = p_message and m.deleted_at is null;
end;

do $$
declare f record;
begin
  for f in select p.oid::regprocedure as name, p.prosecdef from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'search'
  loop
    execute format('revoke execute on function %s from public', f.name);
    execute format('grant execute on function %s to winnow_search, winnow_spine', f.name);
    if f.prosecdef then
      execute format('alter function %s owner to winnow_spine', f.name);
    end if;
  end loop;
end $$;
