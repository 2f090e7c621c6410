"""How people tell what is at stake: rules, what may go wrong, what holds things up, who does something about it.

English, Ukrainian and Russian. Tuples are parts of patterns, for tables that say more (`cues.py`).
"""

from typing import Final

from services.extractor import slavic
from services.extractor.patterns import words

_NO_END: Final = r"(?:[^.!?\n]|\.\d)"

# What calls a rule to mind.
REMINDING: Final = (
    "(?:(?:just )?a )?(?:gentle |friendly |quick )?reminder(?=\\s?[:,–—-]| that| to)", "нагадую", "напоминаю",
    "(?:ще|ещё|еще) раз (?:для|всім|всем)", "once (?:again|more) (?:for|to) (?:all|every)",
)  # fmt: skip
REMINDS: Final = words(*REMINDING)
# What tells a rule: it is called to mind, holds from now on, or allows nothing else.
RULE: Final = words(
    *REMINDING, "from now on", "going forward", "must (?:not|always|never|only)", "only (?:via|through)",
    "(?:the |our )?(?:rule|policy) is",
    "(?:the )?(?:\\w+ )?deadline(?: for \\w+)? (?:is|was moved|moves)", "(?:is|are) due (?:on|by|before)",
    "дедлайн(?: \\w+)? (?:у|в|до|на|\\d)", "(?<!в\\s)(?<!у\\s)(?:останній|крайній) (?:день|термін)",
    "(?<!в\\s)(?:последний|крайний) (?:день|срок)", "за правилами", "по правилам", "правило(?: таке| такое)?\\s?[:—–-]",
    "no exceptions?", "without exceptions?", "без винятків", "без исключений",
    "щоб (?:все|усе|всі|усі|кожен|кожна) (?:\\w+ ){0,2}(?:бул[ои]|мав|мала|мали)",
    "чтобы (?:вс[её]|все|каждый) (?:\\w+ ){0,2}(?:был[ои]|имел\\w?)",
    "(?:is|are|it's) (?:not allowed|mandatory|forbidden|prohibited)",
    "(?:в|у|на) майбутн(?:є|ьому)", "надалі", "відтепер", "не можна", "заборонен\\w*", "обов'язково",
    "(?:тільки|лише|виключно) (?:через|за|після|по|з)",
    "(?:в|на) будущ(?:ее|ем)", "впредь", "отныне", "нельзя", "запрещен\\w*", "запрещён\\w*", "обязательно",
    "(?:только|исключительно) (?:через|после|по|с)",
)  # fmt: skip
REQUIRED: Final = f"{RULE.pattern}|{slavic.OBLIGED.pattern}"
# What may go wrong, as those say who warn.
WARNING: Final = words(
    "(?:don't|do not) (?:merge|deploy|release|upgrade|update|touch|rotate|restart|delete|run)",
    "(?:drop(?:s|ped|ping)?|ends?|ending|remov(?:e[sd]?|ing)) (?:the )?support", "end of (?:life|support)",
    "(?:i'm|i am|we're|bit|little|really|also) (?:a (?:bit|little) )?(?:worried|afraid|nervous|concerned|uneasy|"
    "scared)",
    "the (?:\\w+ )?risk (?:is|here)", "ризик(?: (?:у|в) тому|\\s?[:—–-])", "риск(?: в том|\\s?[:—–-])",
    "не (?:мердж|деплой|чіпай|запускай|оновлюй|видаляй|вмикай)\\w*", "боюс[ья]", "побоюю?с[ья]",
    "не (?:мерж|деплой|трогай|запускай|обновляй|удаляй|включай)\\w*", "опаса(?:юсь|емся)",
)  # fmt: skip
# What becomes of things if nobody does anything about it.
LOSS: Final = words(
    "(?:will|we'll|it'll|would|could|may|might) (?:\\w+ )?(?:break|fail|lose|crash|expire|miss|"
    "run out|be lost|slip|go down)",
    "пропад(?:е|уть|ёт|ет|ут)", "зіпсу(?:є|ють)ться", "испорт(?:ит|ят)ся", "згор(?:ить|ять)", "сгор(?:ит|ят)",
    "протухн(?:е|уть|ет|ут)", "не (?:встиг(?:не|нем|нуть)|успе(?:ем|ет|ют))\\w*", "зірв(?:е|уть)ться", "сорв[её]тся",
    "застрягн\\w+", "застрян\\w+", "won't (?:come|make it|be there|be ready|arrive|fit|last|survive|finish|manage|"
    "hold|open)",
    "оштрафу\\w+", "закриють", "закроют", "доведеться", "прид[её]тся",
    "не (?:прийд|прид|вистачит|хватит|витрима|выдерж)\\w*",
)  # fmt: skip
CONDITION: Final = words(
    "if",
    "unless",
    "until",
    "otherwise",
    "якщо",
    "інакше",
    "поки",
    "если",
    "иначе",
    "пока",
    *slavic.CONDITIONS,
)
_NOT_YET: Final = (
    "не (?:вийд|выйд|змож|смож|мож|поїд|поед|почн|начн|випуст|выпуст|запуст|пуст|прийм|прим|відкри|откр|зда|вид|"
    "буде)\\w*"
)
# What holds up something else until it is done.
HOLDING: Final = (
    f"(?:can't|cant|cannot|won't) {_NO_END}{{0,60}}(?<!\\w)(?:until|till)",
    f"(?:until|till) {_NO_END}{{0,60}}(?<!\\w)(?:can't|cant|cannot|won't)",
    "waits? (?:till|until|for)",
    f"(?:поки|доки|пока)(?: [^\\s,.;:!?]+){{0,4}} не {_NO_END}{{1,60}}(?<!\\w){_NOT_YET}",
    f"{_NOT_YET}{_NO_END}{{0,60}} (?:поки|доки|пока)(?: [^\\s,.;:!?]+){{0,4}} не",
)
HELD: Final = words(*HOLDING)
# How somebody proposes something to all, at the beginning of a sentence; "may" with an infinitive does.
PROPOSING: Final = (
    "(?:i|we)(?:'d| would)? (?:like to )?(?:propose|suggest)(?! you)", "what if we", "could we",
    "може,? (?:ми|нам|варто|давайте)", "може,? (?:\\w+ ){0,2}\\w{2,}(?:[єеї]мо|имо)(?:с[ья])?",
    "we (?:might|may)(?! be| have| not)",
    "can we .{3,80} (?:instead|this time|rather|from now on|for once)(?=[^.!?\\n]*\\?)", "(?:how|what) about \\w+ing",
    "может,? (?:\\w+ ){0,2}\\w{2,}(?:[аяуе]ем|[её]м)(?:ся)?(?=[^.!?\\n]*\\?)",
    "може,? (?!не )(?:\\w+ ){0,2}(?!бути|стати|трапит|вияви|здат|показат)\\w{2,}ти(?:с[ья])?",
    "(?:я )?пропону(?:ю|ємо)",
    "а що якщо", "(?:а )?якщо (?:\\w+ ){0,2}\\w{2,}ти(?:с[ья])?(?=[^.!?\\n]*\\?)", "(?:а )?давайте(?=[^.!?\\n]*\\?)",
    "может,? (?:мы|нам|стоит|давайте)",
    "может,? (?!не )(?:\\w+ ){0,2}(?!быть|случ|получит|оказат|показат)\\w{2,}[аеиоуыя]ть(?:ся)?",
    "(?:я )?предлага(?:ю|ем)", "а что если",
    "(?:а )?если (?:\\w+ ){0,2}\\w{2,}[аеиоуыя]ть(?:ся)?(?=[^.!?\\n]*\\?)", *slavic.PROPOSED,
)  # fmt: skip
# How somebody takes note of an answer and tells no more: who gives a reason or objects does.
NOTED: Final = words(
    "(?:ok(?:ay)?|k|cool|great|nice|perfect|right|got it|noted|will do|sure|good|alright|gotcha|understood|"
    "ок|окей|ага|супер|добре|гаразд|клас\\w*|зрозумі\\w+|ясно|прийнято|чудово|угу|о|хорошо|ладно|понял\\w*|понятно|"
    "отлично|"
    "принято)(?!,? (?:because|but|as|since|бо|але|тому|но|потому|а))"
)
# How somebody goes on with what was just said.
GOING_ON: Final = words(
    "and", "but", "so", "or", "then", "а", "і", "й", "та", "але", "тобто", "або", "и", "но", "то есть", "или", "то",
)  # fmt: skip
# How somebody draws the conclusion from what was said.
CONCLUDING: Final = words(
    "(?:(?:ok(?:ay)?|so|well|alright)[,.!]? )?(?:then|in that case)", "(?:ok(?:ay)?|alright),? so",
    "(?:(?:ок|ну|добре|гаразд|отже|супер|клас)[,.!]? )?(?:тоді|значить|отже)",
    "(?:(?:ок|ну|хорошо|ладно)[,.!]? )?(?:тогда|значит|итак)",
    "(?:\\w+ ){1,3}(?:then|тоді|тогда)(?=\\s?(?:[,.!]|$))",
)  # fmt: skip
# How somebody guesses.
GUESSED: Final = words(
    "maybe", "perhaps", "probably", "(?:i )?guess", "might", "мабуть", "може", "можливо", "напевно", "певно",
    "здається", "схоже", "может", "наверное", "возможно", "видимо", "кажется", "похоже",
)  # fmt: skip
# Why something came about.
CAUSE: Final = words(
    "because(?: of)?", "due to", "caused by", "the (?:cause|reason)", "that's why", "that explains", "root cause",
    "turns out", "turned out", "бо", "тому що", "через те,? що", "тому й", "причина", "виявилось", "виявляється",
    "потому что", "из-за", "оказалось", "оказывается",
)  # fmt: skip
# Beginnings of verbs of doing something about a matter.
_DOING: Final = (
    "роб|зроб|допрацю|поправ|виправ|замін|куп|привез|принес|прин|віднес|завез|відвез|пода|напи|відпи|перенес|пересув|"
    "постав|став|дода|добав|прибер|забер|вибер|перевед|перекин|скин|надішл|відправ|подзвон|дзвон|зателефон|замов|почищ|"
    "чищ|полагод|підключ|переключ|відключ|увімкн|вимкн|перезапущ|запущ|відновл|онов|оновл|зміню|змін|віддам|дам|"
    "візьм|помін|"
    "бер|попрош|домовл|"
    "сдела|исправл|поправл|замен|куплю|отвез|напиш|поставл|добавл|убер|отправл|позвон|закаж|починю|подключ|отключ|"
    "включ|"
    "выключ|восстановл|обновл|отдам|возьм"
)
# What somebody is about to do themselves: first persons of those verbs.
_WILL_DO: Final = (
    f"(?:{_DOING})(?:[аяує]?ю|у|лю)(?:с[ья])?",
    "(?:до|пере|по|на|роз|від|от|с|з)?дам",
)
# The same in Ukrainian and Russian alone: what "I'll add" is in English.
WILL_DO: Final = words(*_WILL_DO)
UNDERTAKEN: Final = words(
    *_WILL_DO, "let me \\w+",
    "i(?:'ll| will|'m going to|'m) (?!be |see |try |look |check |not )\\w+",
)  # fmt: skip
# What settles a matter by itself.
GO_AHEAD: Final = words(
    "(?:let's |just |please |ok(?:ay)?,? |yes,? |then |so )?(?:do it|go ahead|go for it)(?! (?:when|if|by|with|like|"
    "this way|manually))",
    "\\w+ it is(?=\\s?(?:[,.!]|$|then))",
    "(?:let's |we )?(?:go|going|stick|sticking|stay|staying) with (?:the |that|this|it)?",
    "make it (?:so|\\w+day|\\d+)", "settled(?= then|[.,!]|$)",
    "(?:хай|нехай) (?:буде|так і буде|\\w{3,}(?:ть|є|не|де|ють))", "так і (?:робимо|зробимо|буде|залиш\\w+)",
    "на тому і?й? (?:стали|зупин\\w+)",
    "(?:лишаємо|залишаємо|беремо|робимо|купуємо|замовляємо|ставимо|переносимо|скасовуємо|"
    "погоджуємо)(?:с[ья])?(?! (?:ми|ли))",
    "пусть (?:будет|\\w{3,}[её]т|\\w{3,}[ия]т)", "так и (?:сделаем|делаем|будет|оставим|решим)",
    "(?:оставляем|бер[её]м|делаем|покупаем|заказываем|ставим|переносим|отменяем)(?:ся)?",
)  # fmt: skip
# How somebody says back what they have understood.
SAYING_BACK: Final = words(
    "(?:(?:oh|ah|ok|okay|right|i see|got it)[,.!]? )?so (?:i|we|you|it|that|there|basically|just)",
    "(?:тобто|значить|так що|выходит|виходить|то есть)",
)  # fmt: skip
# A call for any help there is, which asks nothing by itself.
HELP_WANTED: Final = words(
    "any(?: other)? (?:ideas?|help|suggestions?|thoughts|clues?|advice|hints?)(?: \\w+){0,3}\\s?\\?",
    "(?:can|could) (?:any|some)(?:one|body) (?:please )?help(?: me)?(?: with this)?(?: please)?\\s?\\??",
    "what (?:should|can|could|do) i do\\s?\\?", "help\\s?\\?", "що робити\\s?\\?", "що скажете\\s?\\?",
    "(?:хто|кто) (?:підкаже|знає|подскажет|знает)\\s?\\?", "что делать\\s?\\?",
    "(?:є|есть) (?:якісь )?(?:ідеї|идеи)\\s?\\?",
)  # fmt: skip
# What somebody says that others ask: "customers ask whether …".
REPORTED: Final = words(
    "(?:they|people|customers|users|parents|he|she|\\w{3,}s) (?:\\w+ )?(?:ask|asks|asked|asking|want(?:s|"
    "ed)? to know) (?:me |us )?"
    "(?:if|whether|how|what|when|why|where|for|about)[^.!?\n]*",
    "(?:пита(?:ють|є|ли|в|ла)|запиту(?:ють|є|вали)|цікавляться|спрашива(?:ют|ет|ли)|интересуются)[,]? (?:\\w+ ){0,2}?"
    "(?:чи|що|як|коли|де|чому|про|скільки|есть ли|можно ли|что|как|когда|где|почему)[^.!?\n]*",
)  # fmt: skip
