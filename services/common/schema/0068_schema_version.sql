-- A service reads at its start how far the database is migrated: one that is newer than its schema asks for what is not there yet.
grant select (version) on public.winnow_migration to winnow_relay, winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;
