-- Lost hints are repeated a part at a time. A broker that comes back without its store has lost those of a backlog of any size: to make all
-- of it due in one statement takes longer than a statement may from some hundred thousand tasks on, and was tried again without end, while
-- no other hint was published.

-- Notes the stream that hints go to; true if it is another than before, which holds none of the earlier ones.
create function spine.note_hint_stream(p_created_at timestamptz) returns boolean
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with another as (
    insert into spine.hint_stream as s (created_at) values (p_created_at)
    on conflict (one) do update set created_at = excluded.created_at where s.created_at <> excluded.created_at
    returning 1)
  select exists (select from another);
end;

-- As the function of the same name without a limit, but of each stage and lane at most p_limit tasks, those first that are due again first.
create function spine.repeat_lost_hints(
  p_stages text[], p_lanes int[], p_hinted_before timestamptz[], p_again interval, p_again_max interval, p_limit int
) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_custom_plan
begin atomic
  with lost as (
    select l.workspace_id, l.id
    from unnest(p_stages, p_lanes, p_hinted_before) as gone (stage, lane, hinted_before)
    cross join lateral (
      select h.workspace_id, h.id from spine.task h
      where h.lane = gone.lane and h.stage = gone.stage and h.hint_count > 0 and h.state = 'ready' and h.available_at <= now()
        and h.hint_at > now() and h.hint_at < gone.hinted_before + p_again_max
        and h.hint_at - least(p_again * power(2, least(h.hint_count - 1, 16)), p_again_max) < gone.hinted_before
      order by h.hint_at limit p_limit for update skip locked) l),
  repeated as (
    update spine.task t set hint_at = now(), hint_count = 0
    from lost where t.workspace_id = lost.workspace_id and t.id = lost.id
    returning 1)
  select count(*) from repeated;
end;

alter function spine.note_hint_stream owner to winnow_spine;
alter function spine.repeat_lost_hints(text[], int[], timestamptz[], interval, interval, int) owner to winnow_spine;
revoke execute on function spine.note_hint_stream, spine.repeat_lost_hints(text[], int[], timestamptz[], interval, interval, int) from public;
grant execute on function spine.note_hint_stream, spine.repeat_lost_hints(text[], int[], timestamptz[], interval, interval, int) to winnow_relay;
