-- What goes through as many rows as a workspace has does so a part at a time: in one statement it takes longer than one may from some million
-- rows on, and is tried again without end.

-- Forgets those tasks of a generation that nobody keeps any more that are among the next p_limit of a workspace after one of them, in the order
-- of their index; returns the last that it looked at, or nothing when there are no more.
create function spine.forget_generation(p_generation uuid, p_workspace uuid, p_after uuid, p_after_spec text, p_limit int)
  returns table (subject_id uuid, spec text)
  language sql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
begin atomic
  with seen as materialized (
    select t.id, t.subject_id, t.spec from spine.task t
    where t.workspace_id = p_workspace and t.stage = 'embed' and (t.subject_id, t.spec) > (p_after, p_after_spec)
    order by t.subject_id, t.spec limit p_limit),
  gone as (
    delete from spine.task t
    where t.workspace_id = p_workspace
      and t.id = any (array(select s.id from seen s where split_part(s.spec, ':', 2) = p_generation::text order by s.id))
    returning 1)
  select s.subject_id, s.spec from seen s order by s.subject_id desc, s.spec desc limit 1;
end;

-- The last of the next p_limit subjects of a workspace that should have vectors, after one of them; null when there are no more. Each kind is
-- read by itself: a view that unites them is read whole and sorted.
create function spine.embeddable_until(p_workspace uuid, p_kinds text[], p_after uuid, p_limit int) returns uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
begin atomic
  with next as (
    (select m.id from ingest.message m
     where 'message' = any (p_kinds) and m.workspace_id = p_workspace and m.deleted_at is null and m.text <> '' and m.id > p_after
     order by m.id limit p_limit)
    union all
    (select a.id from extractor.atom a
     where 'atom' = any (p_kinds) and a.workspace_id = p_workspace and a.retired_at is null and a.id > p_after
     order by a.id limit p_limit)
    union all
    (select t.id from extractor.topic t
     where 'topic' = any (p_kinds) and t.workspace_id = p_workspace and t.retired_at is null and t.id > p_after
     order by t.id limit p_limit))
  select n.id from (select x.id from next x order by x.id limit p_limit) n order by n.id desc limit 1;
end;

-- As the function of the same name without an end, of the subjects up to one.
create function spine.vectors_to_ask_for(
  p_workspace uuid, p_generation uuid, p_kinds text[], p_after uuid, p_until uuid, p_limit bigint, p_due_after timestamptz
) returns table (kind text, subject_id uuid, text_sha256 bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set plan_cache_mode = force_custom_plan
begin atomic
  select e.kind, e.subject_id, e.text_sha256 from spine.embeddable e
  where e.workspace_id = p_workspace and e.kind = any (p_kinds) and e.subject_id > p_after and e.subject_id <= p_until
    and not exists (
      select from embedder.vector v
      where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = e.kind
        and v.subject_id = e.subject_id and v.subject_id > p_after and v.subject_id <= p_until
        and v.part = 0 and v.text_sha256 = e.text_sha256)
    and not exists (
      select from spine.task t
      where t.workspace_id = p_workspace and t.stage = 'embed' and t.subject_id = e.subject_id and t.state <> 'done'
        and t.subject_id > p_after and t.subject_id <= p_until
        and t.spec = e.kind || ':' || p_generation || ':' || encode(e.text_sha256, 'hex')
        and not (p_due_after is not null and t.state = 'ready' and t.lane = 1 and t.attempts = 0 and t.error_class is null
          and t.available_at > p_due_after))
  order by e.subject_id limit p_limit;
end;

alter function spine.forget_generation(uuid, uuid, uuid, text, int) owner to winnow_spine;
alter function spine.embeddable_until owner to winnow_spine;
alter function spine.vectors_to_ask_for(uuid, uuid, text[], uuid, uuid, bigint, timestamptz) owner to winnow_spine;
revoke execute on function spine.forget_generation(uuid, uuid, uuid, text, int), spine.embeddable_until,
  spine.vectors_to_ask_for(uuid, uuid, text[], uuid, uuid, bigint, timestamptz) from public;
grant execute on function spine.forget_generation(uuid, uuid, uuid, text, int), spine.embeddable_until,
  spine.vectors_to_ask_for(uuid, uuid, text[], uuid, uuid, bigint, timestamptz) to winnow_embedder;
