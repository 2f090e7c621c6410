-- What PostgreSQL computes of every text: the same values by expressions that the planner puts in place of the call. A function
-- that is called plans its query anew for every row, since all is planned for the values at hand (services.common.database).
-- Neither is strict any more, because a strict function with a `case` cannot be put in place; of null both still make null.

-- The language of a text by its letters and its commonest words: en, uk, ru, or und for others and for what is too short to tell.
create or replace function spine.language(p_text text) returns text
  language sql immutable parallel safe
  return case
    when p_text is null then null
    -- Names and code are Latin in any language, so a third of the letters decides.
    when octet_length(left(p_text, 400)) > length(left(p_text, 400))
        and 3 * regexp_count(left(p_text, 400) collate pg_c_utf8, '[Ѐ-ӿ]')
          >= greatest(1, regexp_count(left(p_text, 400) collate pg_c_utf8, '[A-Za-z]')) then
      case sign(regexp_count(left(p_text, 400) collate pg_c_utf8, '[іїєґІЇЄҐ]')
          - regexp_count(left(p_text, 400) collate pg_c_utf8, '[ыэъёЫЭЪЁ]'))
        when 1 then 'uk'
        when -1 then 'ru'
        else case
          when left(p_text, 400) collate pg_c_utf8 ~* '(^|[^Ѐ-ӿ])(що|як|це|але|чи|вже|так|треба|дуже|добре|дякую|немає|буде|був|була|було|тут|коли|хто)($|[^Ѐ-ӿ])' then 'uk'
          when left(p_text, 400) collate pg_c_utf8 ~* '(^|[^Ѐ-ӿ])(что|как|это|но|или|уже|надо|очень|хорошо|спасибо|нет|если|будет|есть|тоже|когда|кто|да)($|[^Ѐ-ӿ])' then 'ru'
          else 'und' end end
    when left(p_text, 400) collate pg_c_utf8 ~* '(^|[^A-Za-z])(the|is|are|was|of|and|to|it|this|that|what|how|why|you|i|we|with|for|have|has|not|do|does|can|but|my|yes|yeah|if|there|be|just|so|from|will|would|thanks|please|hello|hi|hey|ok|okay)($|[^A-Za-z])' then 'en'
    else 'und' end;

-- The words of a text as search sees them; what is ASCII alone is normal already.
create or replace function spine.words(p_text text) returns tsvector
  language sql immutable parallel safe
  return to_tsvector('spine.chat'::regconfig,
    case when octet_length(p_text) = length(p_text) then p_text else normalize(p_text, NFKC) end);
