-- What else is asked of a subject: whoever cuts a conversation must know what has come in and waits to be cut.

-- Open tasks of a stage about a subject whose spec begins with a word, in the order of their specs.
create function spine.awaited(p_workspace uuid, p_stage text, p_subject uuid, p_prefix text, p_limit int)
  returns table (spec text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.spec from spine.task t
  where t.workspace_id = p_workspace and t.stage = p_stage and t.state in ('ready', 'leased') and t.subject_id = p_subject
    and starts_with(t.spec, p_prefix)
  order by t.spec collate "C" limit p_limit;
end;

alter function spine.awaited owner to winnow_workspace;
revoke execute on function spine.awaited from public;
grant execute on function spine.awaited to winnow_extractor;
