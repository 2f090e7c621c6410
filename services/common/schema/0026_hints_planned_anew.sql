-- A plan that was made while the table was empty reads all of it once it is full, and a relay keeps its connections for days.

alter function spine.take_hints(int, interval, interval, int) set plan_cache_mode = force_custom_plan;
alter function spine.repeat_lost_hints(text[], int[], timestamptz[], interval, interval) set plan_cache_mode = force_custom_plan;
