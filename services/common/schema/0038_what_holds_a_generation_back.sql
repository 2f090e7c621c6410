-- What holds a generation back is named: tasks that are dead, and backfills that somebody paused, in which a deployment's operator
-- had no say, though a pause in one workspace keeps a generation from all of them.

-- What a generation lacks in all workspaces: in how many of them tasks are dead, and how much waits in how many whose backfill is
-- paused. Of what is new since then, some may be counted as waiting that is being done.
create function embedder.generation_lack(p_generation uuid)
  returns table (missing bigint, dead bigint, dead_workspaces bigint, paused bigint, paused_workspaces bigint)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with workspace as (
    select sum(d.missing) as missing, sum(d.dead) as dead, bool_or(p.workspace_id is not null) and sum(d.missing) > sum(d.dead) as waits
    from spine.workspaces() w
    cross join lateral spine.embedding_debt(
      w.workspace_id, p_generation, array['message', 'atom', 'topic'], 'ffffffff-ffff-ffff-ffff-ffffffffffff') d
    left join spine.paused_backfill p on p.workspace_id = w.workspace_id
    group by w.workspace_id)
  select coalesce(sum(w.missing), 0)::bigint, coalesce(sum(w.dead), 0)::bigint, count(*) filter (where w.dead > 0),
    coalesce(sum(w.missing - w.dead) filter (where w.waits), 0)::bigint, count(*) filter (where w.waits)
  from workspace w;
$$;

-- Lets the backfills of all workspaces go on; returns how many were paused.
create function spine.resume_backfills() returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with resumed as (delete from spine.paused_backfill returning 1)
  select count(*) from resumed;
end;

-- Lets searches read another generation; refused while it is not complete, unless forced, with what it lacks and what can be done.
-- What served before stands by.
create or replace function embedder.promote_generation(p_generation uuid, p_force boolean) returns embedder.generation
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare g embedder.generation; lack record; index text;
begin
  perform pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));
  select * into g from embedder.generation where id = p_generation;
  if not found then
    raise exception 'no generation %', p_generation using errcode = 'no_data_found';
  elsif g.state = 'retired' then
    raise exception 'generation % is retired: its vectors are gone', p_generation
      using errcode = 'object_not_in_prerequisite_state';
  elsif g.state = 'serving' then
    return g;
  end if;
  if not p_force then
    select * into lack from embedder.generation_lack(p_generation);
    select s.state into index from embedder.index_state(p_generation) s;
    if lack.missing > 0 then
      raise exception 'generation % lacks % vectors%', p_generation, lack.missing, concat(
          case when lack.dead > 0 then format('; %s failed too often, in %s of the workspaces: `winnow dead list --stage embed`, '
            'then `winnow dead replay --stage embed`, with a key of each', lack.dead, lack.dead_workspaces) end,
          case when lack.paused > 0 then format('; %s wait in %s of the workspaces, whose backfill is paused: '
            '`winnow backfill --resume` with a key of each, or `winnow generations resume` for all',
            lack.paused, lack.paused_workspaces) end)
        using errcode = 'object_not_in_prerequisite_state';
    elsif index <> 'ready' then
      raise exception 'the index of generation % is not ready (%)', p_generation, index
        using errcode = 'object_not_in_prerequisite_state';
    end if;
  end if;
  update embedder.generation set state = 'standby' where state = 'serving';
  update embedder.generation set state = 'serving', promoted_at = now() where id = p_generation returning * into g;
  return g;
end $$;

alter function embedder.generation_lack owner to winnow_spine;
alter function spine.resume_backfills owner to winnow_spine;
revoke execute on function embedder.generation_lack, spine.resume_backfills from public;
grant delete on spine.paused_backfill to winnow_spine;
grant execute on function embedder.generation_lack, spine.resume_backfills to winnow_embedder;
