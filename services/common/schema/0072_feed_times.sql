-- Who follows knowledge may begin with what changed from some time on: each change has the time of its commit. What changed before this has none.

alter table extractor.feed add column changed_at timestamptz;

create or replace function extractor.note_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare changed record; subject uuid; next_position bigint;
begin
  if tg_op = 'DELETE' then changed := old; else changed := new; end if;
  if tg_table_name = 'atom_version' then subject := changed.atom_id; else subject := changed.id; end if;
  insert into extractor.feed_position as p (workspace_id, position) values (changed.workspace_id, 1)
  on conflict (workspace_id) do update set position = p.position + 1
  returning p.position into next_position;
  -- Under the lock on the position, so that times go up with positions as far as the clock does.
  insert into extractor.feed (workspace_id, kind, subject_id, position, changed_at)
  values (changed.workspace_id, tg_argv[0], subject, next_position, clock_timestamp())
  on conflict (workspace_id, kind, subject_id) do update set position = excluded.position, changed_at = excluded.changed_at;
  return null;
end $$;
