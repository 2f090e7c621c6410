-- A stream of hints that was emptied is still the same stream: what shows it is that hints are gone and their tasks are not taken.

-- Makes tasks due for a hint now whose last one was taken to be published before a time, and that nobody has claimed since.
create function spine.find_lost_hints(p_hinted_before timestamptz, p_again interval, p_again_max interval) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with lost as (
    update spine.task t set hint_at = now(), hint_count = 0
    from (
      select h.workspace_id, h.id from spine.task h
      where h.state = 'ready' and h.hint_at > now() and h.hint_count > 0 and h.available_at <= now()
        and h.hint_at - least(p_again * power(2, least(h.hint_count - 1, 16)), p_again_max) < p_hinted_before
      order by h.workspace_id, h.id for update of h skip locked) o
    where t.workspace_id = o.workspace_id and t.id = o.id
    returning 1)
  select count(*) from lost;
end;

alter function spine.find_lost_hints owner to winnow_spine;
revoke execute on function spine.find_lost_hints from public;
grant execute on function spine.find_lost_hints to winnow_relay;
