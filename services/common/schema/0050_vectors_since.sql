-- When each vector was written, as the number of the transaction that did: who keeps a copy in memory asks for what a
-- snapshot of the database could not see. What was written before this is older than every copy.
alter table embedder.vector add column written xid8 not null default '0';
alter table embedder.vector alter column written set default pg_current_xact_id();
create index vector_written on embedder.vector (workspace_id, written);
