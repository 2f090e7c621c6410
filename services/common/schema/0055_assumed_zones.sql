-- Whether the times of a message are of a time zone that is only assumed: a version whose times are certain replaces it.
alter table ingest.message add column zone_assumed boolean not null default false;
