-- A scope for what all workspaces share: which model embeds. Keys that could change it before still can; new ones are given it by name.
alter table spine.api_key drop constraint api_key_scopes_check;
update spine.api_key set scopes = scopes || array['operate'] where 'admin' = any (scopes);
alter table spine.api_key add constraint api_key_scopes_check check (scopes <@ array['ingest', 'read', 'admin', 'operate']);
