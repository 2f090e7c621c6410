"""How people tell trouble of things, places and people in daily work, as parts of patterns; none speaks of programs.

English, Ukrainian and Russian. Each tells by itself that something is not as it should be.
"""

from typing import Final

from services.extractor.patterns import branches, words

_STATE: Final = (
    "(?:(?:is|are|was|were|'s|'re|be|been|got|gets?|goes|went|gone|came|comes?|arrived?|looks?|feels?|seems?) "
    "(?:all |quite |very |a bit |still |now |already |completely )?)"
)
_SPOILT: Final = (
    "bent|loose|torn|wet|damp|mou?ldy|dirty|filthy|clogged|iced|frozen|rusty|rotten|sour|burnt|melted|swollen|"
    "dented|chipped|"
    "scratched|worn|dead|flat|flooded|blocked|faulty|unreadable|illegible|blurry|blurred|crooked|wobbly|slippery|"
    "sold out|"
    "overbooked|double[-\\s]booked|overdue|undelivered|unsafe|sick|ill|injured|hurt"
)
# What is not as it should be, as a state of things: "the seal is iced".
SPOILT: Final = f"{_STATE}(?:{_SPOILT})(?! (?:simple|easy|end|line|rate))"
# What things do that do not do their work any more, and what befalls them.
ACTS_UP: Final = (
    "leaks|leaking|drips?|dripping|wobbl\\w+|rattl(?:es?|ing)|squeak\\w*|creak\\w*|flickers?|flickering|"
    "overheat\\w*|tripped|"
    "beep(?:s|ing)|spilled|spilt|warped|peel(?:s|ing) off|spoil(?:ed|t|s)|rott(?:ed|ing)|collapsed|snapped|"
    "(?:fell|falls|came|comes|broke|breaks|tore|wore|worn) (?:off|apart|loose|out)|"
    "smell(?:s|ed|ing)? (?:of|bad|burnt|like)|stopped \\w+ing|never (?:went|goes|got|gets|works?|worked|came|comes|"
    "shows?|showed|start(?:s|ed)|finish(?:es|ed)|load(?:s|ed)|boot(?:s|ed)|ends)|keeps (?:on )?\\w+ing|(?:i|"
    "we) still (?:see|get|have)|still (?:getting|seeing|the same|can't|doesn't)|"
    "(?:gave|gives|giving) up the ghost|out of (?:order|stock|paper|ink|toner|gas|fuel|service|date)"
)
# What comes to less than it should, or to none.
FALLS_SHORT: Final = (
    "only (?:gets?|goes|got|went|reach(?:es|ed)?|comes?|came|makes?|lasts?|charges?|fills?|heats?) (?:up )?(?:to|as|"
    "half|\\d)|"
    "(?:prints?|shows?|gives?|gets?|finds?|returns?|delivers?) (?:no|nothing|zero|0)(?! (?:one|matter|"
    "more than)\\b)(?!\\w)|"
    "not enough \\w+|too (?:few|little) \\w+|(?:we're|we are|are|is|was|were|\\d|two|three|four|five) short(?= of|"
    "[.,;!]|$)|"
    "-?\\d[\\d.,]{0,8}\\s?[\\w%°]{0,12} (?:\\w+ )?(?:now )?instead of (?:the )?(?:-?\\d|one|two|three)"
)
# Who does not come, or cannot.
ABSENT: Final = (
    "(?:call(?:ed|s)|off|out|at home) (?:in )?sick|(?:nobody|no one|noone) (?:came|comes|turn(?:s|ed) up|show(?:s|"
    "ed) up|"
    "answers|answered|picks? up)|(?:didn't|did not|hasn't|haven't|never|has not|have not) (?:come|arrived?|show(?:n|"
    "ed)? up|"
    "turn(?:ed)? up|(?:been )?delivered)|cancel(?:l)?ed on us|turned up (?:late|without)"
)
# What was lost, confused or forgotten.
MISDONE: Final = (
    "(?:is|are|was|were|got) mixed up|mix-up|(?:by|my|our|his|her|their) mistake|the wrong (?!way to)\\w+|wrong way|"
    "upside down|(?:was|were|got) forgotten|"
    "(?:we|they|he|she|someone|somebody) (?:forgot|missed|lost|spilled|spilt|misread|miscounted)(?! track)|"
    "without (?:asking|telling|a receipt|permission|their|its)"
)
# Ukrainian and Russian: what things do that do not do their work, by the beginnings of words.
_ACTS_UP: Final = (
    "гуде(?:\\b|ть)|гудить|хита[єю]\\w*|клинить|клинят\\w*|заклин\\w+|барахл\\w+|скаче|скачуть|скрип\\w+|"
    "свист(?:ить|ит|ять)|капа[єе]т?|"
    "смерд\\w+|дими(?:ть|т)|іскри(?:ть|ло)|блима[єю]\\w*|мига[єею]\\w*|перегр[іе]ва\\w+|перегрі[вл]\\w*|"
    "пі?дгор[ає]\\w*|пригор[ає]\\w*|"
    "підгорі[вл]\\w*|пищить|тріщить|шата[єею]\\w*|гудит|кришиться|сиплеться|розвал\\w+|розсипа[лв]\\w+|развал\\w+|"
    "воня[єе]т?|искрит|трещит|пищит|подгор[ае]\\w+|крошится|рассыпа\\w+|загаз\\w*"
)
_SPOILT_SLAVIC: Final = (
    "пробит\\w+|порван\\w+|подерт\\w+|рван(?:ий|а|е|і|ые|ый|ая)|тріснут\\w+|розбит\\w+|побит(?:ий|а|е|і)|погнут\\w+|"
    "забит(?:ий|а|е|і|о)|"
    "засмічен\\w+|перегор\\w+|згорі\\w+|обірва\\w+|відклеї\\w+|відірва\\w+|злипл\\w+|застряг\\w*|застрял\\w*|"
    "замерз\\w*|обмерз\\w*|"
    "промокл\\w*|затоп\\w+|підтоп\\w+|залило|волог(?:ий|а|е|і|ою)|мокр(?:ий|а|е|і|о)|брудн(?:ий|а|е|і|о)|"
    "плісняв\\w*|цвіль|іржав\\w+|"
    "зіпсован\\w+|прокис\\w*|протух\\w*|розряд(?:ив|ж|и)\\w*|розряджен\\w*|розлил\\w*|протека\\w*|здох\\w*|"
    "разбит\\w+|погнут\\w+|забит(?:ый|а|о|ы)|засор\\w+|оборва\\w+|отклеи\\w+|оторва\\w+|слипл\\w+|зам[её]рз\\w*|"
    "промок\\w*|залило|влажн(?:ый|ая|ые|ое)|мокр(?:ый|ая|ые|ое)|грязн(?:ый|ая|ые|ое)|плесен\\w*|ржав\\w+|"
    "испорчен\\w+|разряд\\w+|разлил\\w*"
)
_ABSENT_SLAVIC: Final = (
    "захворі\\w+|прихворі\\w+|заболе(?:л|ла|ли)|хвор(?:ий|а|і)(?! темат)|больн(?:ой|ая|ые)|температурить|"
    "з температурою|с температурой|"
    "(?:не|ніхто не|никто не) (?:прийшо?в|прийшл[аио]|приїха[влоаи]\\w*|приехал\\w*|приш[её]л|пришл[аио]|вийшл[аио]|"
    "вийшов|вышел|вышл[аио]|"
    "з'явив\\w*|з'явил\\w*|явил\\w+|привезл[ио]|привіз|прив[её]з|забрал[иа]?)|травм\\w+|отруї\\w+|отрави\\w+|"
    "запізн\\w+|спізн\\w+|опозда\\w+"
)
_SHORT_SLAVIC: Final = (
    "переста(?:в|л[аои]?) \\w+ть?и?(?:с[ья])?|не встига\\w+|не встигн\\w+|не встиг(?:ли|ла)?|не успева\\w+|"
    "не успе(?:л|ла|ли|ем|ет|ют)|замало|маловато|"
    "(?:за)?лиш(?:ил[аои]с[ья]|ився) (?:тільки |лише |всього )?\\d+ (?:з|із|зі) \\d+|оста(?:лось|лся|"
    "лась) (?:только |всего )?\\d+ из \\d+|"
    "-?\\d[\\d.,]{0,8}\\s?[\\w%°]{0,12} (?:\\w+ )?(?:замість|вместо) -?\\d|через раз|(?:ловить|працює|ловит|"
    "работает) (?:тільки|лише|только)|"
    "(?:води|світла|газу|тепла|опалення|інтернету|зв'язку|воды|света|газа|связи) (?:немає|нема|нет)"
)
_MISDONE_SLAVIC: Final = (
    "переплута\\w+|сплута\\w+|перепута\\w+|загуби(?:в|ла|ли)\\w*|потеряли|посварил\\w+|поламал\\w*|"
    "не (?:той|та|те|ті|тот|то|те) (?:розмір|колір|адрес|номер|товар|размер|цвет|файл)\\w*|не туди|не туда|"
    "без (?:попередження|дозволу|предупреждения|спроса)|"
    "(?:перекри(?:ли|т[аоі]?й?)|закри(?:ли|т[аоі]) (?:дорог|рух|в'їзд|проїзд|вулиц))\\w*|аварі[яїюй]\\w*|"
    "авари[яию]\\w*|пожеж\\w+|пожар\\w*"
)  # fmt: skip
_NOT: Final = "(?<!not\\s)(?<!n't\\s)(?<!never\\s)"
# All of it, unless it is denied.
MISHAPS: Final = (
    *(
        _NOT + branch
        for part in (SPOILT, ACTS_UP, FALLS_SHORT, ABSENT, MISDONE)
        for branch in branches(part)
    ),
    *(
        "(?<!не\\s)" + branch
        for part in (_ACTS_UP, _SPOILT_SLAVIC, _ABSENT_SLAVIC, _SHORT_SLAVIC, _MISDONE_SLAVIC)
        for branch in branches(part)
    ),
)
# What somebody did about a thing with their hands.
MENDED: Final = (
    "fitted|swapped|soldered|tightened|unplugged|replugged|taped|glued|patched|sealed|refilled|topped up|dried|"
    "unblocked|unjammed|"
    "defrosted|descaled|oiled|greased|adjusted|recalibrated|reset|emptied|mopped|turned (?:it|them|the \\w+) (?:off|"
    "on|round|around)|"
    "(?:замін|помін|прочист|відрегулю|підтягн|змаст|припая|запая|заклеї|підклеї|висуши|протер|розморози|зали|доли|"
    "перемота|перестави|"
    "переверну|перевстанови|скину|підкрути|прикрути|розблок|перевіси|полата|підкле)\\w*(?:в|ла|ли|ив|ила|или)|"
    "(?:прочисти|отрегулирова|подтяну|смаза|припая|закле|высуши|прот[её]р|разморози|доли|переверну|прикрути|"
    "перевеси)\\w*(?:л|ла|ли)|прот[её]р"
)
# What tells that something did not help.
STILL: Final = words(
    "still (?:not|no|the same|nothing|doesn't|does|won't|get|getting)", "no luck", "(?:didn't|did not|doesn't) help",
    "same (?:thing|error|problem|result)",
    "all the same", "все одно", "усе одно", "так само", "не допомогло", "не помогло", "вс[её] равно", "то само",
    "то же самое", "без змін", "без изменений",
)  # fmt: skip
# What was done about trouble, and about nothing else.
REPAIRED: Final = words(
    MENDED, "fixed|cleaned|cleared|restarted|rebooted|rolled back|replaced|repaired",
    "(?:виправи|полагоди|почисти|перезапусти|перезавантажи|заміни)(?:в|ла|ли)",
    "(?:исправи|почини|почисти|перезапусти|перезагрузи|замени)(?:л|ла|ли)",
)  # fmt: skip
# How somebody comes to help, as the first words of an answer.
COMING: Final = words(
    "on my way", "(?:i'm |i am )?(?:coming|looking into|rebooting|checking)",
    "(?:вже )?(?:їду|йду|біжу|лечу|виїжджаю|дивлюсь)", "(?:уже )?(?:еду|иду|бегу|выезжаю|смотрю)",
)  # fmt: skip
# What is done until trouble is mended.
MEANWHILE: Final = words(
    "until then", "for now", "in the meantime", "meanwhile", "(?:as a )?workaround", "тимчасово", "поки що", "наразі",
    "временно", "пока что",
)  # fmt: skip
