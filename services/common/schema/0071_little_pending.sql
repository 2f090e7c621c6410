-- A GIN index first lists what is new, and whoever searches reads that list from end to end: with the 4 MB that PostgreSQL lets it
-- grow to, some 7,000 messages, a hybrid search took 20 ms of the server's processor where it takes 11. Messages still go in by the
-- hundred, as one by one each costs a half more; atoms and topics are few.
alter index ingest.message_words set (gin_pending_list_limit = 256);
alter index extractor.atom_words set (fastupdate = off);
alter index extractor.topic_words set (fastupdate = off);
select gin_clean_pending_list(i) from unnest(
  '{ingest.message_words, extractor.atom_words, extractor.topic_words}'::regclass[]) i;
