-- What the embedder still owes: seen from the rows that need vectors, not from the tasks that should make them.

-- What has no current vector and no task that is open or dead, so that nothing would ever make it; in order, after a subject.
create function spine.forgotten_vectors(p_workspace uuid, p_generation uuid, p_kinds text[], p_after uuid, p_limit bigint)
  returns table (kind text, subject_id uuid, text_sha256 bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select e.kind, e.subject_id, e.text_sha256 from spine.embeddable e
  where e.workspace_id = p_workspace and e.kind = any (p_kinds) and e.subject_id > p_after
    and not exists (
      select from embedder.vector v
      where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = e.kind
        and v.subject_id = e.subject_id and v.part = 0 and v.text_sha256 = e.text_sha256)
    and not exists (
      select from spine.task t
      where t.workspace_id = p_workspace and t.stage = 'embed' and t.subject_id = e.subject_id and t.state <> 'done'
        and t.spec = e.kind || ':' || p_generation || ':' || encode(e.text_sha256, 'hex'))
  order by e.subject_id limit p_limit;
end;

-- How much has no current vector, and for how much of it the task has died; only what was there at a time (a UUIDv7).
create function spine.embedding_debt(p_workspace uuid, p_generation uuid, p_kinds text[], p_until uuid)
  returns table (kind text, missing bigint, dead bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select e.kind, count(*), count(*) filter (where t.state = 'dead')
  from spine.embeddable e
  left join spine.task t on t.workspace_id = p_workspace and t.stage = 'embed' and t.subject_id = e.subject_id
    and t.spec = e.kind || ':' || p_generation || ':' || encode(e.text_sha256, 'hex')
  where e.workspace_id = p_workspace and e.kind = any (p_kinds) and e.subject_id <= p_until
    and not exists (
      select from embedder.vector v
      where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = e.kind
        and v.subject_id = e.subject_id and v.part = 0 and v.text_sha256 = e.text_sha256)
  group by e.kind order by e.kind;
end;

alter function spine.forgotten_vectors owner to winnow_spine;
alter function spine.embedding_debt owner to winnow_spine;
revoke execute on function spine.forgotten_vectors, spine.embedding_debt from public;
grant execute on function spine.forgotten_vectors, spine.embedding_debt to winnow_embedder;
