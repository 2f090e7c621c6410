"""What the database itself saw: who claimed and finished each task under which fence, and who wrote which results.

Triggers note it in the transactions that they watch, so no code of the product has a hand in it.
"""

import asyncpg

SETTING = "faults.replica"
"""The name of a replica, as each of its connections to the database carries it."""

_INSTALL = f"""
create schema faults;
create table faults.journal (
  place bigint generated always as identity primary key,
  workspace_id uuid not null,
  moment timestamptz not null default clock_timestamp(),
  transaction text not null default pg_current_xact_id()::text,
  replica text not null default coalesce(current_setting('{SETTING}', true), ''),
  what text not null,
  task_id uuid,
  stage text,
  subject_id uuid,
  fence bigint,
  was text
);
create index on faults.journal (task_id);

create function faults.note_task() returns trigger language plpgsql security definer as $$
begin
  insert into faults.journal (workspace_id, what, task_id, stage, subject_id, fence, was)
  values (new.workspace_id, case when new.fence <> old.fence then 'claimed' else 'finished' end,
    new.id, new.stage, new.subject_id, new.fence, old.state);
  return null;
end $$;
create trigger journal after update on spine.task for each row
  when (new.fence <> old.fence or (new.state = 'done' and new.finished_at is distinct from old.finished_at))
  execute function faults.note_task();

create function faults.note_run() returns trigger language plpgsql security definer as $$
begin
  insert into faults.journal (workspace_id, what, task_id) values (new.workspace_id, 'run', new.task_id);
  return null;
end $$;
create trigger journal after insert on extractor.run for each row execute function faults.note_run();

create function faults.note_vector() returns trigger language plpgsql security definer as $$
begin
  insert into faults.journal (workspace_id, what, subject_id) values (new.workspace_id, 'vector', new.subject_id);
  return null;
end $$;
create trigger journal after insert or update on embedder.vector for each row execute function faults.note_vector();
"""

ROWS = """select transaction, replica, what, task_id as task, stage, subject_id as subject, fence, was
  from faults.journal where workspace_id = $1 order by place"""

HELD = """select t.id from spine.task t where t.workspace_id = $1 and t.state = 'leased' and $2 = (
    select j.replica from faults.journal j where j.task_id = t.id and j.what = 'claimed'
    order by j.place desc limit 1)"""
"""The tasks of a workspace that a replica claimed last and that nobody has finished since."""

TAKEN_OVER = """select min(extract(epoch from other.moment - dead.moment))::float8
  from faults.journal dead
  join faults.journal other on other.task_id = dead.task_id and other.what = 'claimed' and other.replica <> dead.replica
  where dead.workspace_id = $1 and dead.replica = $2 and dead.what = 'claimed' and dead.stage = $3
    and dead.place = (select max(j.place) from faults.journal j
      where j.workspace_id = $1 and j.replica = $2 and j.what = 'claimed' and j.stage = $3)
    and other.place > dead.place"""
"""The seconds from the last claim of a replica in a stage to the claim of the same task by another one."""

FINISHED = "select 1 from spine.task where id = any ($1) and state = 'done' limit 1"
"""Whether one of some tasks is finished."""


async def install(admin: asyncpg.Connection) -> None:
    """Begin to watch a migrated database."""
    await admin.execute(_INSTALL)
