-- Where a message was forwarded from: an object with the name and the id of an author or chat, as far as they are known.
alter table ingest.message add column forwarded_from jsonb;

-- Erased messages have none; all else of the function is as it was.
create or replace function spine.erasure_receipt(p_workspace uuid, p_operation uuid)
  returns table (messages bigint, vectors bigint, evidence bigint, atoms bigint, atoms_read_again bigint, topic_links bigint,
    window_memberships bigint, remaining bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  with erased as materialized (
    select x.id from ingest.erasure e cross join lateral unnest(e.message_ids) as x (id)
    where e.workspace_id = p_workspace and e.operation_id = p_operation),
  report as (
    select coalesce(sum(r.evidence), 0)::bigint as evidence, coalesce(sum(r.atoms), 0)::bigint as atoms,
      coalesce(sum(r.atoms_read_again), 0)::bigint as atoms_read_again, coalesce(sum(r.topic_links), 0)::bigint as topic_links,
      coalesce(sum(r.window_memberships), 0)::bigint as window_memberships
    from extractor.erasure r where r.workspace_id = p_workspace and r.operation_id = p_operation),
  removed as materialized (
    select 'atom' as kind, x.id from extractor.erasure r cross join lateral unnest(r.atom_ids) as x (id)
    where r.workspace_id = p_workspace and r.operation_id = p_operation
    union all
    select 'topic', x.id from extractor.erasure r cross join lateral unnest(r.topic_ids) as x (id)
    where r.workspace_id = p_workspace and r.operation_id = p_operation),
  subject as (select 'message' as kind, e.id from erased e union all select r.kind, r.id from removed r),
  held as (
    select count(*) as n from subject s cross join embedder.generation g
    join embedder.vector v on v.workspace_id = p_workspace and v.generation_id = g.id and v.kind = s.kind and v.subject_id = s.id),
  left_over as (
    select
      (select count(*) from erased e join ingest.message m on m.workspace_id = p_workspace and m.id = e.id
       where m.text <> '' or m.author_external_id <> '' or m.author_name <> '' or m.entities is not null
         or m.attachments is not null or m.forwarded_from is not null or m.importance_factors <> '{}' or m.deleted_at is null)
      + (select count(*) from erased e join extractor.atom_evidence x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from erased e join extractor.topic_message x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from erased e join extractor.window_message x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from erased e join extractor.pending_message x on x.workspace_id = p_workspace and x.message_id = e.id)
      + (select count(*) from removed r join extractor.atom a on r.kind = 'atom' and a.workspace_id = p_workspace and a.id = r.id)
      + (select count(*) from removed r join extractor.atom_version a
         on r.kind = 'atom' and a.workspace_id = p_workspace and a.atom_id = r.id)
      + (select count(*) from removed r join extractor.topic t on r.kind = 'topic' and t.workspace_id = p_workspace and t.id = r.id)
      + (select n from held) as n)
  select (select count(*) from erased),
    (select coalesce(sum(b.vectors), 0)::bigint from embedder.erasure b
     where b.workspace_id = p_workspace and b.operation_id = p_operation),
    report.evidence, report.atoms, report.atoms_read_again, report.topic_links, report.window_memberships, left_over.n
  from report, left_over;
end;
