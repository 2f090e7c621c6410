-- Functions that act for one workspace are bound to it: behind row-level security a wrong argument finds nothing and makes nothing.

grant select, insert, update on spine.task to winnow_workspace;
grant insert on spine.event to winnow_workspace;
grant select on embedder.generation to winnow_workspace;

do $$
declare f record;
begin
  for f in select p.oid::regprocedure as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'spine' and p.proname = any (array['enqueue', 'enqueue_embedding', 'announce', 'claim', 'extend',
             'complete', 'fail', 'release', 'replay', 'tasks', 'stages', 'enqueue_backfill', 'pause_backfill', 'is_backfill_paused'])
  loop
    execute format('grant execute on function %s to winnow_workspace', f.name);
    execute format('alter function %s owner to winnow_workspace', f.name);
  end loop;
end $$;

-- A login for each service, which may act as that service and as the relay that it runs, and as nobody else. They are closed
-- until they are given a password; winnow_app, which may act as every service, is for a single machine.
do $$
declare service text;
begin
  foreach service in array array['ingest', 'extractor', 'embedder', 'search'] loop
    if not exists (select from pg_roles where rolname = format('winnow_%s_app', service)) then
      execute format('create role winnow_%s_app nologin noinherit nosuperuser nobypassrls nocreatedb nocreaterole', service);
    end if;
    execute format('grant winnow_%s to winnow_%s_app with inherit false, set true', service, service);
    if service <> 'search' then
      execute format('grant winnow_relay to winnow_%s_app with inherit false, set true', service);
    end if;
  end loop;
end $$;
