-- The windows whose readings gave a topic its title, whether they made the topic or found it: an erasure finds by them the titles that
-- may be made of the words of a window. They stay when a window is read otherwise, as the title does.
create table extractor.title_window (
  workspace_id uuid not null,
  -- Of a topic that was merged into another, or of a title that a person replaced, the topic that bears the title.
  topic_id uuid not null,
  window_id uuid not null,
  primary key (workspace_id, topic_id, window_id),
  foreign key (workspace_id, topic_id) references extractor.topic (workspace_id, id) on delete cascade
);
create index title_window_window on extractor.title_window (workspace_id, window_id);
alter table extractor.title_window enable row level security;
alter table extractor.title_window force row level security;
create policy own_workspace on extractor.title_window
  using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace());
select spine.analyze_often('extractor.title_window');
grant select, insert on extractor.title_window to winnow_extractor;

-- Of topics that were there before, those windows are known that gave the title first and those that have messages in the topic.
insert into extractor.title_window (workspace_id, topic_id, window_id)
select v.workspace_id, v.topic_id, r.window_id
from extractor.topic_version v
join extractor.run r on r.workspace_id = v.workspace_id and r.id = v.run_id
union
select m.workspace_id, m.topic_id, m.window_id from extractor.topic_message m;
drop index extractor.topic_version_run;

-- Whether all windows are known whose readings gave the title: not of topics that were there before, nor of those that a service of an
-- earlier release makes.
alter table extractor.topic add column is_traced boolean not null default false;
drop index extractor.topic_unused;
create index topic_unused on extractor.topic (workspace_id, source_id) where retired_at is not null and merged_into is null and not is_traced;
