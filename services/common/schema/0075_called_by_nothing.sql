-- Functions that neither a service nor another function calls any more.

-- note_hint_stream and repeat_lost_hints (0064) do what these did.
drop function spine.forget_hints(timestamptz);
drop function spine.find_lost_hints(timestamptz, interval, interval);
-- vectors_to_ask_for (0065) does.
drop function spine.forgotten_vectors(uuid, uuid, text[], uuid, bigint);
-- generation_lack (0038) does.
drop function embedder.generation_debt(uuid);
-- gauges_of_rows and gauges_of_work (0067) do.
drop function spine.totals();
