-- Until the tables are first analyzed, a workspace seems to have a row or two: each of its vectors was then compared with each
-- of its texts, which took 16 s after an import of 10,000 messages. A hash join costs little more where few rows are.
alter function spine.missing_vectors(uuid, uuid, bigint) set enable_nestloop = off;
alter function spine.stale_vectors(uuid, uuid, bigint) set enable_nestloop = off;
