-- An atom is not shown once its words are gone from all messages that it rests on, though the extractor has yet to read what is left of
-- them. Now it is not counted either.

alter table ingest.message
  -- When other words of it were taken; null while they are as they came.
  add column revised_at timestamptz;

-- The atoms that rest on messages, none of which is live and to stay and says their words. Found from the messages that changed or are
-- to be erased, and by itself: looked at one by one, an atom costs ten times what it costs to count it.
create function search.unfounded_atoms() returns setof uuid
  language sql stable security definer rows 10 set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select distinct e.atom_id
  from (
    select c.id from ingest.message c
    where c.workspace_id = spine.current_workspace() and c.erased_at is null and (c.deleted_at is not null or c.revised_at is not null)
    union all
    select t.message_id from ingest.message_to_erase t where t.workspace_id = spine.current_workspace()) c
  join extractor.atom_evidence e on e.workspace_id = spine.current_workspace() and e.message_id = c.id
  where not exists (
      select from extractor.atom_evidence o
      join ingest.message m on m.workspace_id = o.workspace_id and m.id = o.message_id and m.deleted_at is null
        and not exists (select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
      where o.workspace_id = e.workspace_id and o.atom_id = e.atom_id and strpos(m.text, o.quote) > 0);
end;
grant select on ingest.message_to_erase to winnow_spine;
alter function search.unfounded_atoms owner to winnow_spine;
revoke execute on function search.unfounded_atoms from public;
grant execute on function search.unfounded_atoms to winnow_search;
