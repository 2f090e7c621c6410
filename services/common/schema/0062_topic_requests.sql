-- Requests to merge or split topics that came with an id: one that is repeated returns the topics and changes nothing.
create table extractor.topic_request (
  workspace_id uuid not null,
  request_id uuid not null,
  request_sha256 bytea not null check (length(request_sha256) = 32),
  -- What the call returned, in that order.
  topic_ids uuid[] not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, request_id)
);
alter table extractor.topic_request enable row level security;
alter table extractor.topic_request force row level security;
create policy own_workspace on extractor.topic_request
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
select spine.analyze_often('extractor.topic_request');
grant select, insert on extractor.topic_request to winnow_extractor;
