-- What looks words up is planned anew for each call, so each kind has functions of its own: to plan those of all three took a tenth to
-- a sixth of a call, whichever kind was asked for. count_documents and match_documents stay for services of earlier releases.

do $$
declare
  k record;
  f record;
begin
  for k in select * from (values
    ('message', 'ingest.message', 'x.deleted_at is null'),
    ('atom', 'extractor.atom', $c$x.retired_at is null and x.approval_state <> 'rejected'
        and (x.valid_to is null or x.valid_to > statement_timestamp())$c$),
    ('topic', 'extractor.topic', 'x.retired_at is null')) as k (kind, rows, lives)
  loop
    execute format($f$
      create function search.count_%1$ss(p_workspace uuid, p_terms tsquery[], p_limit int) returns table (term int, documents bigint)
        language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
        set plan_cache_mode = force_custom_plan
      begin atomic
        select t.n::int, c.n from unnest(p_terms) with ordinality as t (query, n) cross join lateral (
          select count(*) as n from (
            select from %2$s x where x.workspace_id = p_workspace and %3$s and x.words @@ t.query limit p_limit) y) c
        where p_workspace = spine.current_workspace();
      end
      $f$, k.kind, k.rows, k.lives);
    execute format($f$
      create function search.match_%1$ss(
        f search.filter, p_workspace uuid, p_any tsquery, p_terms tsquery[], p_weights float8[], p_saturation float8,
        p_length_share float8, p_length_typical float8, p_length_least int, p_scan_limit int, p_limit int
      ) returns table (id uuid, terms bigint, length int, score float8)
        language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
      begin atomic
        with found as (
          select x.id, x.words from search.live_%1$ss(f, p_workspace) x
          where p_workspace = spine.current_workspace() and x.words @@ p_any limit p_scan_limit)
        select d.id, s.terms, length(d.words), s.weight / (1 + p_saturation * (
          1 - p_length_share + p_length_share * greatest(length(d.words), p_length_least) / p_length_typical)) as score
        from found d cross join lateral (
          select coalesce(bit_or(1::bigint << (t.n - 1)::int), 0) as terms, coalesce(sum(t.weight), 0) as weight
          from unnest(p_terms, p_weights) with ordinality as t (query, weight, n) where d.words @@ t.query) s
        order by score desc, d.id
        limit p_limit;
      end
      $f$, k.kind);
  end loop;
  for f in select p.oid::regprocedure as name from pg_proc p
           where p.pronamespace = 'search'::regnamespace and p.proname ~ '^(count|match)_(message|atom|topic)s$'
  loop
    execute format('revoke execute on function %s from public', f.name);
    execute format('grant execute on function %s to winnow_search, winnow_spine', f.name);
    execute format('alter function %s owner to winnow_spine', f.name);
  end loop;
end $$;
