-- Those who follow knowledge are told of all that an atom shows: how sure it is, since when it holds, who approved or ended it, and what
-- it rests on.

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
  insert into extractor.feed (workspace_id, kind, subject_id, position)
  values (changed.workspace_id, tg_argv[0], subject, next_position)
  on conflict (workspace_id, kind, subject_id) do update set position = excluded.position;
  return null;
end $$;

drop trigger atom_changed on extractor.atom;
create constraint trigger atom_changed after update on extractor.atom deferrable initially deferred
  for each row when (
    (old.version, old.approval_state, old.judged_by, old.confidence, old.valid_from, old.valid_to, old.superseded_by, old.retired_at,
      old.invalidated_at, old.topic_id)
    is distinct from
    (new.version, new.approval_state, new.judged_by, new.confidence, new.valid_from, new.valid_to, new.superseded_by, new.retired_at,
      new.invalidated_at, new.topic_id))
  execute function extractor.note_change('atom');

-- Evidence that came or went without a new version; that of a new atom is counted from none.
create constraint trigger atom_evidence_changed after update on extractor.atom_version deferrable initially deferred
  for each row when (old.evidence_count > 0 and old.evidence_count <> new.evidence_count)
  execute function extractor.note_change('atom');

-- A title that a topic had is no topic of its own.
drop trigger topic_made on extractor.topic;
create constraint trigger topic_made after insert on extractor.topic deferrable initially deferred
  for each row when (new.retired_at is null) execute function extractor.note_change('topic');
