-- What is known once: atoms and topics that say the same are one, what contradicts ends what was held before, and none of it
-- overwrites anything. Written by the extractor's stage `merge`, which is asked for whenever a vector of the serving generation is written.

alter table extractor.atom
  -- The atom that says the same. A merged atom is retired, keeps its own evidence, and never has atoms merged into it.
  add column merged_into uuid,
  add column merged_by text check (merged_by in ('meaning', 'person')),
  -- The newer atom that contradicts it; then valid_to is when that one began to hold.
  add column superseded_by uuid,
  -- Who judged it, where it is not proposed.
  add column judged_by text not null default 'person' check (judged_by in ('person', 'rule')),
  add foreign key (workspace_id, merged_into) references extractor.atom (workspace_id, id),
  add foreign key (workspace_id, superseded_by) references extractor.atom (workspace_id, id),
  add check ((merged_into is null) = (merged_by is null)),
  add check (merged_into is null or retired_at is not null and merged_into <> id),
  add check (superseded_by is null or valid_to is not null and superseded_by <> id);
create index atom_merged on extractor.atom (workspace_id, merged_into) where merged_into is not null;
create index atom_superseded on extractor.atom (workspace_id, superseded_by) where superseded_by is not null;
create index atom_text on extractor.atom (workspace_id, text_sha256);

-- The merged atom that a passage was taken over from; null for an atom's own. A message stands once, as the atom's own if it is.
alter table extractor.atom_evidence
  add column via_atom_id uuid,
  add foreign key (workspace_id, via_atom_id) references extractor.atom (workspace_id, id);
create index evidence_via on extractor.atom_evidence (workspace_id, via_atom_id) where via_atom_id is not null;

alter table extractor.atom_version
  add column change text not null default 'extracted' check (change in ('extracted', 'edited', 'merged', 'parted')),
  add column cause_atom_id uuid,
  add column evidence_count int not null default 0;
create index version_cause on extractor.atom_version (workspace_id, cause_atom_id) where cause_atom_id is not null;
update extractor.atom_version v set change = case when v.origin = 'person' then 'edited' else 'extracted' end,
  evidence_count = (select count(*) from extractor.atom_evidence e where e.workspace_id = v.workspace_id and e.atom_id = v.atom_id);

alter table extractor.atom_link
  add column origin text not null default 'extraction' check (origin in ('extraction', 'meaning')),
  alter column run_id drop not null;

-- A rule approves without a key.
alter table extractor.review
  alter column key_id drop not null,
  drop constraint review_verdict_check,
  add constraint review_verdict_check
    check (verdict in ('proposed', 'approved', 'rejected', 'edited', 'invalidated', 'merged', 'parted'));

alter table extractor.topic
  -- The topic that this one is part of; readings that find this one's title mean that one.
  add column merged_into uuid,
  add column merged_by text check (merged_by in ('meaning', 'person')),
  add foreign key (workspace_id, merged_into) references extractor.topic (workspace_id, id),
  add check ((merged_into is null) = (merged_by is null)),
  add check (merged_into is null or retired_at is not null and merged_into <> id);
create index topic_merged on extractor.topic (workspace_id, merged_into) where merged_into is not null;
create index topic_alias on extractor.topic (workspace_id, source_id, title_key) where merged_into is not null;

alter table extractor.topic_version
  alter column run_id drop not null,
  add column change text not null default 'extracted' check (change in ('extracted', 'edited', 'merged', 'parted')),
  add column cause_topic_id uuid,
  add column message_count int not null default 0;
update extractor.topic_version v set message_count =
  (select count(*) from extractor.topic_message m where m.workspace_id = v.workspace_id and m.topic_id = v.topic_id);

-- Whether a reading put the message there or a person did; no reading moves it then.
alter table extractor.topic_message
  add column assigned_by text not null default 'extraction' check (assigned_by in ('extraction', 'person'));

-- Pairs that a person took apart: no comparison joins them again.
create table extractor.kept_apart (
  workspace_id uuid not null,
  first_id uuid not null,
  second_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, first_id, second_id),
  check (first_id < second_id)
);
create index kept_apart_second on extractor.kept_apart (workspace_id, second_id);
alter table extractor.kept_apart enable row level security;
alter table extractor.kept_apart force row level security;
create policy own_workspace on extractor.kept_apart
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
grant select, insert, delete on extractor.kept_apart to winnow_extractor;

-- Comparing needs the vectors.
grant usage on schema embedder to winnow_extractor;
grant select on embedder.vector, embedder.generation to winnow_extractor;

-- Asks for atoms and topics to be compared with what is known, if the generation that has just got their vectors is the serving one.
create function spine.enqueue_merging(p_workspace uuid, p_generation uuid, p_kinds text[], p_subjects uuid[], p_hashes bytea[])
  returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(sum(spine.enqueue(p_workspace, 'merge', chosen.subjects, chosen.specs, now(), true)), 0)::bigint
  from (
    select array_agg(x.subject_id) as subjects, array_agg(x.kind || ':' || encode(x.hash, 'hex')) as specs
    from unnest(p_kinds, p_subjects, p_hashes) as x (kind, subject_id, hash)
    where x.kind in ('atom', 'topic')
      and exists (select from embedder.generation g where g.id = p_generation and g.state = 'serving')) chosen
  where chosen.subjects is not null;
end;
grant execute on function spine.enqueue_merging to winnow_workspace;
alter function spine.enqueue_merging owner to winnow_workspace;
revoke execute on function spine.enqueue_merging from public;
grant execute on function spine.enqueue_merging to winnow_extractor, winnow_embedder;

-- Asks for what has a vector in the serving generation and no task at all: known before there was comparing, or embedded in a
-- generation before it served. At most p_limit; returns how many.
create function spine.ask_for_forgotten_merges(p_workspace uuid, p_limit int) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(sum(spine.enqueue(p_workspace, 'merge', chosen.subjects, chosen.specs)), 0)::bigint
  from (
    select array_agg(x.id) as subjects, array_agg(x.kind || ':' || encode(x.text_sha256, 'hex')) as specs
    from (
      select f.kind, f.id, f.text_sha256
      from (
        select 'atom' as kind, a.id, a.text_sha256 from extractor.atom a
        where a.workspace_id = p_workspace and a.retired_at is null
        union all
        select 'topic', t.id, t.text_sha256 from extractor.topic t
        where t.workspace_id = p_workspace and t.retired_at is null) f
      where exists (
          select from embedder.vector v, embedder.generation g
          where g.state = 'serving' and v.workspace_id = p_workspace and v.generation_id = g.id and v.kind = f.kind
            and v.subject_id = f.id and v.part = 0 and v.text_sha256 = f.text_sha256)
        and not exists (
          select from spine.task t
          where t.workspace_id = p_workspace and t.stage = 'merge' and t.subject_id = f.id
            and t.spec = f.kind || ':' || encode(f.text_sha256, 'hex'))
      order by f.id limit p_limit) x) chosen
  where chosen.subjects is not null;
end;
grant select on extractor.atom, extractor.topic, embedder.vector to winnow_workspace;
grant execute on function spine.ask_for_forgotten_merges to winnow_workspace;
alter function spine.ask_for_forgotten_merges owner to winnow_workspace;
revoke execute on function spine.ask_for_forgotten_merges from public;
grant execute on function spine.ask_for_forgotten_merges to winnow_extractor;

-- A source's atoms and topics are those that any of its messages proves: what was merged into another source's stands for both.
create or replace function search.live_atoms(f search.filter)
  returns table (id uuid, source_id uuid, sent_at timestamptz, text_sha256 bytea, words tsvector, type text, approval_state text,
    topic_id uuid, language text)
  language sql stable
begin atomic
  select a.id, a.source_id, a.valid_from, a.text_sha256, a.words, a.type, a.approval_state, a.topic_id, a.language
  from extractor.atom a
  where a.workspace_id = spine.current_workspace() and a.retired_at is null and a.approval_state <> 'rejected'
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

create or replace function search.live_topics(f search.filter)
  returns table (id uuid, source_id uuid, text_sha256 bytea, words tsvector, language text)
  language sql stable
begin atomic
  select t.id, t.source_id, t.text_sha256, t.words, t.language from extractor.topic t
  where t.workspace_id = spine.current_workspace() and t.retired_at is null
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
