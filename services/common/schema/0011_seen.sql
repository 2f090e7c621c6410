-- Being seen: which trace made a task, and counts over all workspaces for those who run the deployment.

-- The W3C context of the call that made the task, if that call is traced. It comes with the transaction, as the workspace does.
alter table spine.task add column traceparent text default nullif(current_setting('winnow.traceparent', true), '');

-- The traces that some tasks belong to.
create function spine.traces(p_workspaces uuid[], p_ids uuid[]) returns table (id uuid, traceparent text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.id, t.traceparent from spine.task t
  join unnest(p_workspaces, p_ids) as x (workspace_id, id) on x.workspace_id = t.workspace_id and x.id = t.id
  where t.traceparent is not null;
end;

-- What is open, by stage; what is done is not counted, since that would read every task that ever was.
create function spine.backlog()
  returns table (stage text, ready bigint, scheduled bigint, leased bigint, dead bigint, oldest_seconds double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.stage,
    count(*) filter (where t.state = 'ready' and t.available_at <= now()),
    count(*) filter (where t.state = 'ready' and t.available_at > now()),
    count(*) filter (where t.state = 'leased'),
    count(*) filter (where t.state = 'dead'),
    coalesce(extract(epoch from now() - min(greatest(t.created_at, t.available_at))
      filter (where t.state = 'leased' or t.state = 'ready' and t.available_at <= now())), 0)::double precision
  from spine.task t where t.state <> 'done' group by t.stage order by t.stage;
end;

-- The gauges of all workspaces together.
create function spine.totals()
  returns table (messages bigint, atoms bigint, topics bigint, vectors bigint, vectors_missing bigint, vectors_stale bigint,
    extractions_inconsistent bigint, leases_expired bigint, messages_unwindowed bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(sum(g.messages), 0)::bigint, coalesce(sum(g.atoms), 0)::bigint, coalesce(sum(g.topics), 0)::bigint,
    coalesce(sum(g.vectors), 0)::bigint, coalesce(sum(g.vectors_missing), 0)::bigint, coalesce(sum(g.vectors_stale), 0)::bigint,
    coalesce(sum(g.extractions_inconsistent), 0)::bigint, coalesce(sum(g.leases_expired), 0)::bigint,
    coalesce(sum(g.messages_unwindowed), 0)::bigint
  from spine.workspace w, spine.gauges(w.workspace_id) g;
end;

alter function spine.traces owner to winnow_spine;
alter function spine.backlog owner to winnow_spine;
alter function spine.totals owner to winnow_spine;
revoke execute on function spine.traces, spine.backlog, spine.totals from public;
grant execute on function spine.traces to winnow_relay, winnow_ingest, winnow_extractor, winnow_embedder;
grant execute on function spine.backlog, spine.totals to winnow_relay;
