-- Searches of large workspaces keep the plans of their statements. What these functions read may be small when a plan is made and
-- large when it is used, so theirs are made anew each time, as those of match_documents are.

alter function search.count_documents(text[], tsquery[], int) set plan_cache_mode = force_custom_plan;
alter function search.words_like(tsquery, text, int) set plan_cache_mode = force_custom_plan;
alter function search.freshness(uuid, timestamptz) set plan_cache_mode = force_custom_plan;
