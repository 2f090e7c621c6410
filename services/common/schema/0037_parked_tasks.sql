-- What no embedder with the right model was there for is parked, and woken by the first that has the model: it was claimed and given
-- back every half minute, by every replica that lacks the model, for as long as the model was missing.

create index task_parked on spine.task (split_part(spec, ':', 2))
  where stage = 'embed' and state = 'ready' and error_class = 'model_missing';

-- Makes up to p_limit tasks due that were parked for the models of these generations; returns how many.
create function spine.wake_parked(p_generations uuid[], p_limit int) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set plan_cache_mode = force_custom_plan
begin atomic
  with parked as (
    select t.workspace_id, t.id from spine.task t
    where t.stage = 'embed' and t.state = 'ready' and t.error_class = 'model_missing'
      and split_part(t.spec, ':', 2) = any (p_generations::text[])
    limit p_limit for update skip locked),
  woken as (
    update spine.task t
    set available_at = now(), hint_at = now(), hint_count = 0, error_class = null, error = null
    from parked p where t.workspace_id = p.workspace_id and t.id = p.id
    returning 1)
  select count(*) from woken;
end;

alter function spine.wake_parked owner to winnow_spine;
revoke execute on function spine.wake_parked from public;
grant execute on function spine.wake_parked to winnow_embedder;
