-- What language models have read and written for readings that were not saved: their provider failed before the end, or the window
-- was another one by then. What was saved is told by its run.
create table extractor.spent (
  workspace_id uuid not null,
  -- From midnight to midnight, UTC.
  day date not null,
  tokens_in bigint not null,
  tokens_out bigint not null,
  model_calls bigint not null,
  primary key (workspace_id, day)
);
alter table extractor.spent enable row level security;
alter table extractor.spent force row level security;
create policy own_workspace on extractor.spent
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
select spine.analyze_often('extractor.spent');
grant select, insert, update on extractor.spent to winnow_extractor;
grant select on extractor.spent to winnow_workspace;

create or replace function spine.tokens_today(p_workspace uuid) returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select (select coalesce(sum(r.tokens_in + r.tokens_out), 0) from extractor.run r
          where r.workspace_id = p_workspace and r.created_at >= date_trunc('day', now(), 'UTC'))::bigint
    + coalesce((select s.tokens_in + s.tokens_out from extractor.spent s
                where s.workspace_id = p_workspace and s.day = (now() at time zone 'UTC')::date), 0);
end;
