-- A promotion that is refused is told to whoever called the method: what can be done is named by methods, not by commands of the
-- CLI. The text is short, for 200 characters of it are told.

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
          case when lack.dead > 0 then format('; %s failed too often in %s workspaces: ReplayTasks', lack.dead, lack.dead_workspaces) end,
          case when lack.paused > 0 then format('; %s wait in %s workspaces with a paused backfill: ResumeBackfills',
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
