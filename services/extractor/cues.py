"""Small, general tables of words by which people signal what a message does.

English, Ukrainian and Russian are covered; elsewhere punctuation and structure must do.
Nothing here names a product, a project or a place where people talk.
"""

import re
from collections.abc import Iterable
from typing import Final

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\n+")
_STEM_END: Final = re.compile(r"(?<=\w)(?<!\\w)\*")


def _words(*alternatives: str) -> re.Pattern[str]:
    """A case-blind pattern for any of the alternatives as whole words (`stem*` takes endings, any apostrophe does)."""
    spelt = (_STEM_END.sub(r"\\w*", item).replace(" ", r"\s+") for item in alternatives)
    parts = (item.replace("'", "['’ʼ]") for item in spelt)
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)


GREETING: Final = _words(
    "hi", "hello", "hey", "hiya", "good (?:morning|evening|afternoon|day)", "morning", "greetings",
    "привіт*", "вітаю", "добр(?:ий|ого) (?:день|дня|ранок|ранку|вечір|вечора)",
    "привет*", "здравствуй*", "добр(?:ый|ого|ое) (?:день|дня|утро|утра|вечер|вечера)",
    "hola", "salut", "bonjour", "hallo", "ciao", "ol[aá]", "cześć",
)  # fmt: skip
LEAVING: Final = _words(
    "bye", "good ?bye", "cya", "see (?:you|ya)(?: later| soon)?", "(?:talk|ttyl|catch you)(?: to you)? later", "ttyl",
    "later", "bbl", "brb", "gtg", "good ?night", "lunch(?:time)?", "afk", "have a (?:nice|good|great) \\w+",
    "бувай\\w*", "до зустрічі", "до побачення", "на добраніч", "обід\\w*", "до завтра", "пока", "до свидания",
    "спокойной ночи", "обед\\w*",
)  # fmt: skip
AUDIENCE: Final = _words(
    "all", "there", "everyone", "everybody", "guys", "folks", "team", "again", "people",
    "всім", "усім", "всем", "друзі", "друзья", "колеги", "коллеги", "народ", "ребята", "хлопці",
)  # fmt: skip
THANKS: Final = _words(
    "thanks?", "thank you", "thx", "thnx", "tnx", "ty", "tyvm", "cheers", "much appreciated",
    "дяку*", "дяки", "спасибі", "спасиб*", "спс", "благодарю", "merci", "danke", "gracias",
    "dzięki", "obrigad[oa]", "grazie",
)  # fmt: skip
REACTION: Final = _words(
    "ok", "okay", "okey", "k", "yes", "yeah", "yea", "yep", "yup", "ya", "no", "nope", "nah",
    "sure", "right", "cool", "great", "nice", "neat", "awesome", "perfect", "excellent", "good",
    "fine", "np", "no (?:problem|worries)", "lol", "lmao", "rofl", "(?:ha){1,4}h?", "heh\\w*", "got it",
    "gotcha", "i see", "ah+", "oh+", "hm+", "huh", "wow", "oops", "sorry", "argh", "ugh", "well",
    "so", "ack", "welcome", "you're welcome", "exactly", "indeed", "agreed", "true", "wait",
    "interesting", "anyone", "so", "very", "much", "too", "me", "you", "man", "that's", "it", "is",
    "that", "all", "a", "lot", "ton", "for", "the", "help", "and", "i", "will", "try", "let", "my",
    "так", "ага", "ні", "добре", "зрозуміл*", "ясно", "ок", "гаразд", "супер", "клас*", "точно",
    "угу", "окей", "прошу", "нема за що", "вибач*", "звісно", "да", "нет", "хорошо", "понял*",
    "понятно", "ладно", "отлично", "извини*", "конечно", "пожалуйста", "не за что", "принято",
    "велике", "дуже", "большое", "очень", "за", "і", "и", "ну", "а", "о", "ой", "це", "это",
)  # fmt: skip
TURNING: Final = _words(
    "btw", "by the way", "(?:one )?(?:more|other|another|unrelated) (?:thing|question)", "unrelated",
    "до речі", "доречі", "ще (?:одне )?питання", "інше питання", "кстати", "ещё (?:один )?вопрос", "другой вопрос",
)  # fmt: skip
YES_NO: Final = _words(
    "yes", "yeah", "yep", "yup", "no", "nope", "nah", "correct", "exactly", "right", "так", "ні", "ага", "угу",
    "да", "нет", "неа", "точно",
)  # fmt: skip
YES_OR_NO: Final = _words(
    "is(?:n't)?", "are(?:n't)?", "was", "were", "does(?:n't)?", "do(?:n't)?", "did(?:n't)?", "will", "would",
    "won't", "has", "have", "had", "чи", "хіба", "невже", "разве", "неужели",
)  # fmt: skip
WAY: Final = _words(
    "a way", "any way", "possible", "how", "where", "спосіб", "можна", "можливо", "як", "де",
    "способ", "можно", "возможно", "как", "где",
)  # fmt: skip
ASKING: Final = _words(
    "any(?:one|body) (?:know|knows|have|here|tried|seen|else)", "is there (?:a|an|any|some\\w*)",
    "how (?:do|does|can|could|should|would|to|come)", "can (?:i|we|someone|somebody|anyone)",
    "need (?:some |a little |a )?help", "help me", "looking for", "any (?:ideas?|suggestions?)",
    "(?:don't|dont|do not) (?:\\w+ )?(?:understand|get|know) (?:why|how|what|if|is why|whether)",
    "not sure (?:how|why|what|whether|if)", "trying to (?:understand|figure|find)", "i don't get",
    "understand is (?:why|how)", "any recommendations?", "(?:one|a|quick) question", "will it",
    "should i", "what(?:'s| is) the", "is it possible", "do i (?:need|have)",
    "wonder(?:ing)? (?:if|how|why)",
    "хто (?:знає|небудь|може)", "підкаж*", "допомож*", "чи (?:є|можна|можемо|хтось)",
    "як (?:мені|нам|краще|правильно|можна)", "кто (?:знает|нибудь|может)", "подскаж*", "помогите",
    "как (?:мне|нам|лучше|правильно|можно)", "есть ли", "можно ли",
    "не (?:розумію|знаю|зрозуміло|впевнен\\w*),? (?:чому|як|що|чи)",
    "не (?:понимаю|знаю|понятно|уверен\\w*),? (?:почему|как|что|ли)",
)  # fmt: skip
_AUXILIARY: Final = r"(?:do|does|did|is|are|was|were|will|would|can|could|should|has|have|shall)"
# A question by its word order alone, at the beginning of a sentence: many leave the mark out.
INVERTED: Final = _words(
    rf"what(?:'s| {_AUXILIARY}) (?!not)\w+",
    r"(?:what|which) (?!(?:i|you|we|it|they|he|she|this|that|the|an?|my|our|your|if|about) )(?:\w+ ){1,2}"
    + _AUXILIARY,
    rf"(?:why|where|how)(?:'s| {_AUXILIARY}) (?!not)\w+",
    rf"how (?:many|much|long|often|far|big) (?:\w+ )?{_AUXILIARY}",
    r"(?:when|who) (?:do|does|did|will|can|could|should) \w+",
    r"(?:does|did) (?!not)\w+ \w+", "(?:do|have|would|could|can|will|are|were) you", "(?:is|are) there",
    "(?:has|have|did|does) any ?(?:one|body)",
    "чому", "навіщо", "скільки", r"чи (?!не )\w+", "почему", "зачем", "сколько",
)  # fmt: skip
PROBLEM: Final = _words(
    "errors?", "fail(?:s|ed|ing|ures?)?", "broken", "breaks", "crash\\w*", "bugs?", "exceptions?",
    "(?:doesn't|doesnt|does not|don't|didn't|isn't|not|never) (?:\\w+ )?(?:work\\w*|load\\w*|"
    "show\\w*|appear\\w*|respond\\w*|start\\w*|connect\\w*|build\\w*|compil\\w*)",
    "stopped working", "wrong", "issues?", "problems?", "stuck", "hang(?:s|ing)?", "time(?:s|d)? ?out",
    "missing", "invalid", "incorrect\\w*", "refused", "denied", "unexpected\\w*", "corrupt\\w*", "leak\\w*",
    "(?:can't|cannot|cant|unable to) (?:\\w+ )?(?:get|see|find|use|connect|access|log|make|figure|"
    "install|open|run|add|create|locate|seem)", "weird", "strange\\w*", "odd", "undefined",
    "помил*", "не прац\\w*", "пада[єюе]\\w*", "впа[вл]\\w*", "злама\\w*", "проблем\\w*",
    "не вда\\w*", "завис\\w*", "збій", "збо[їю]\\w*", "баг\\w*", "не можу", "не відкрива\\w*",
    "ошиб\\w*", "не работа\\w*", "сломал\\w*", "упал\\w*", "не уда\\w*", "не могу", "сбо[йия]\\w*",
    "не открыва\\w*", "глюч\\w*", "виснет", "не запуска\\w*",
)  # fmt: skip
FAILURE: Final = _words(
    "errors?", "fail(?:s|ed|ing|ures?)?", "crash\\w*", "exceptions?", "stopped working", "broken",
    "(?:doesn't|doesnt|does not|don't|didn't|isn't|not) (?:\\w+ )?(?:work\\w*|load\\w*|connect\\w*)",
    "(?:can't|cannot|cant|unable to) (?:\\w+ )?(?:get|see|find|use|connect|access|log|make|install)",
    "stuck", "weird", "hang(?:s|ing)", "refused", "denied", "undefined", "memory leak\\w*",
    "помилк\\w*", "не прац\\w*", "пада[єю]\\w*", "впа[вл]\\w*", "злама\\w*", "не вда\\w*", "завис\\w*",
    "ошибк\\w*", "не работа\\w*", "сломал\\w*", "упал\\w*", "не уда\\w*", "виснет", "не запуска\\w*",
)  # fmt: skip
ADVICE: Final = _words(
    "you(?:'ll| will)? (?:\\w+ )?(?:can|could|should|need|want|have to|must|may)", "try", "use",
    "using", "make sure", "instead", "just", "should", "i(?:'d| would)", "have you", "see", "check",
    "look at", "better", "recommend\\w*", "simply", "спробу\\w*", "використ\\w*", "треба",
    "потрібно", "можеш", "можете", "перевір\\w*", "додай\\w*", "постав\\w*", "краще", "замість",
    "достатньо", "попробу\\w*", "использ\\w*", "нужно", "надо", "можешь", "можете", "проверь\\w*",
    "добавь\\w*", "лучше", "вместо", "достаточно",
)  # fmt: skip
DECISION: Final = _words(
    "let's", "lets", "we(?:'ll| will| decided| agreed| are going to|'re going to| went with)",
    "decided", "decision", "agreed to", "going with", "i(?:'ll| will) (?!be|see|try|look|check)\\w+",
    "(?:i|we)(?:'ve| have)? (?:\\w+ )?(?:moved|switched|chose|picked|postponed|dropped|taken over)",
    "will do", "approved", "resolved to", "i think i(?:'ll| will)", "\\[agreed\\]", "\\[action\\]",
    "виріши\\w*", "домови\\w*", "давайте", "будемо", "зробимо", "беремо", "переходимо", "погоди\\w*",
    "ріш(?:ення|или)", "решили", "решено", "договорил\\w*", "будем", "сделаем", "берём", "перехо[дж]\\w*",
)  # fmt: skip
SETTLED: Final = _words(
    "(?:we|it was|was|has been|have been|is|been) (?:\\w+ )?(?:decided|agreed|approved|settled)",
    "we(?:'ve)? (?:decided|agreed)", "let'?s (?:decide|agree|keep|use|go with|drop|move|switch|stick)",
    "давайте (?:виріш|домов|залиш|візьм|перейд|реш|догов|остав|возьм)\\w*", "decision is", "the decision",
    "вирішил\\w*", "вирішено", "домовил\\w*", "домовлено", "погодили", "ухвалил\\w*",
    "решили", "решено", "договорил\\w*", "приняли решение", "утвердил\\w*",
)  # fmt: skip
SUGGESTED: Final = _words(
    "(?:maybe|perhaps|how about|shall) we", "why (?:not|don't we)", "we could",
    "може,? (?:ми|нам|варто|давайте)", "чому б (?:не|нам)",
    "может,? (?:мы|нам|стоит|давайте)", "почему бы (?:не|нам)",
)  # fmt: skip
COMMITTED: Final = _words(
    "leave (?:that|it|this) (?:to|with) me", "i(?:'m| am) on it", "i can (?:take|do|handle) (?:it|that|this)",
    "i(?: can|'ll| will)? volunteer", "(?:i|we)(?:'ve| have)? (?:\\w+ ){0,2}taken over", "consider it done",
    "бер[уе]\\w* на себе", "візьму\\w*", "я зроблю", "зробимо", "беру на себя", "возьм[уё]\\w*", "я сделаю",
)  # fmt: skip
INTENDED: Final = _words(
    "(?:i|we)(?:'m| am|'re| are) (?:\\w+ )?(?:going to|planning|hoping|aiming|working on|finishing|continuing)",
    "(?:i|we)(?:'ll| will)", "(?:i|we)(?:'m| am|'re| are) on",
    "(?:i|we) (?:\\w+ )?(?:plan|intend|hope|aim|want|need) to", "(?:the )?plan is",
    "(?:я )?(?:планую|збираюсь|збираюся|буду|хочу|маю)", "(?:ми )?(?:плануємо|збираємось|будемо|маємо)",
    "(?:я )?(?:планирую|собираюсь)", "(?:мы )?(?:планируем|собираемся|будем)",
)  # fmt: skip
SCHEDULED: Final = _words(
    "today", "tonight", "tomorrow", "by the end of", "(?:before|for|after) the release",
    "(?:this|next|the coming|later this) (?:week|month|sprint|cycle|release|quarter|afternoon)",
    "(?:on|by|until|before|next|this) (?:mon|tues|wednes|thurs|fri|satur|sun)day",
    "сьогодні", "завтра", "(?:цього|наступного) (?:тижня|місяця|спринту)",
    "(?:до|у|в) (?:понеділ|вівтор|серед|четвер|п'ятниц)\\w*",
    "сегодня", "(?:на )?(?:этой|следующей) неделе", "(?:в этом|в следующем) (?:месяце|спринте)",
    "(?:до|в|во) (?:понедельник|вторник|сред|четверг|пятниц)\\w*",
)  # fmt: skip
REQUIREMENT: Final = _words(
    "must", "shall", "required", "requires?", "requirements?", "needs? to", "has to", "have to",
    "should (?:be|have|only|always|never|just|not)", "i(?:'d| would)? (?:want|like|need) (?:to|a|an)",
    "we (?:need|want)", "we(?:'d| would) like", "only if", "ought to", "allow", "support for",
    "повин\\w*", "мусить", "мають", "необхідно", "вимог\\w*", "має бути", "нам (?:потрібно|треба)",
    "долж\\w*", "обяз\\w*", "необходимо", "требова\\w*", "нам (?:нужно|надо)",
)  # fmt: skip
IDEA: Final = _words(
    "maybe", "perhaps", "what if", "how about", "we could", "could we", "idea", "suggest\\w*",
    "propos\\w*", "might (?:be|want|wish|help|work)", "would be (?:nice|good|great|cool)", "why not",
    "може,? (?:б|бути|варто)", "можливо", "а що якщо", "пропону\\w*", "іде[яїю]", "було б",
    "может,? (?:быть|стоит)", "возможно", "а что если", "предлага\\w*", "иде[яию]", "было бы",
)  # fmt: skip
RISK: Final = _words(
    "risk\\w*", "danger\\w*", "careful", "beware", "caution", "warning", "unsafe", "vulnerab\\w*",
    "might (?:break|lose|fail)", "could (?:break|lose|fail)", "will (?:break|lose)", "otherwise",
    "concern\\w*", "worr(?:y|ied)", "security", "lost", "dropped",
    "ризик\\w*", "небезпе\\w*", "обережн\\w*", "інакше", "може (?:зламат|впаст|втрат)\\w*",
    "риск\\w*", "опасн\\w*", "осторожн\\w*", "иначе", "может (?:сломат|упаст|потер)\\w*",
)  # fmt: skip
BLOCKER: Final = _words(
    "blockers?", "blocked (?:by|on)", "(?:is|are|am|still|this|it) block(?:s|ed|ing)", "on hold",
    "(?:i'm|we're|still|are|am) waiting (?:for|on)", "can't (?:proceed|continue|move)", "stalled",
    "блоку\\w*", "заблок\\w*", "блокер\\w*", "чека(?:ю|ємо) на",
    "не може(?:мо)? продовж\\w*", "блокир\\w*", "жд[уеё]\\w*", "не мо(?:гу|жем) продолж\\w*",
)  # fmt: skip
PATTERN: Final = _words(
    "every time", "always happens", "whenever", "keeps (?:happening|\\w+ing)", "usually", "as a rule",
    "щоразу", "постійно", "зазвичай", "каждый раз", "постоянно", "обычно", "как правило",
)  # fmt: skip
WORKED: Final = _words(
    "work(?:ed|s)(?: now| fine| great| perfectly)?", "working (?:now|fine)", "fixed", "solved",
    "that did it", "that was it", "that's why", "did the trick", "perfect", "makes sense",
    "працює", "запрацювал\\w*", "допомогло", "вирішено", "вийшло", "полагодив\\w*",
    "работает", "заработал\\w*", "помогло", "решено", "получилось", "починил\\w*",
)  # fmt: skip
OBJECTION: Final = _words(
    "no", "nope", "not really", "disagree\\w*", "that's (?:wrong|not)", "incorrect", "on the contrary",
    "don't think (?:that|so|this)", "won't work", "ні", "не згод\\w*", "навпаки", "не думаю",
    "не спрацює", "нет", "не соглас\\w*", "наоборот", "не сработает",
)  # fmt: skip
ANNOUNCED: Final = _words(
    "new", "opened", "created", "reported", "alert", "critical", "down", "incident", "outage",
    "новий", "нова", "створено", "відкрито", "новый", "новая", "создан\\w*", "открыт\\w*",
)  # fmt: skip
YOU: Final = _words(
    "you(?:'re|'ll|'ve)?", "your", "ти", "ви", "тобі", "вам", "твій", "ваш\\w*", "ты", "вы", "тебе",
    "твой", "tu", "vous", "du", "sie", "usted", "ty", "twój",
)  # fmt: skip
SUBORDINATE: Final = _words(
    "if", "when", "while", "since", "because", "unless", "although", "though", "as", "after", "before",
    "once", "whether", "якщо", "коли", "оскільки", "бо", "хоча", "поки", "після того", "перед тим",
    "если", "когда", "поскольку", "хотя", "пока", "после того", "перед тем", "так как", "так як",
)  # fmt: skip
POINTING: Final = _words(
    "it(?:'s|'ll|s)?", "this", "that(?:'s|s)?", "they(?:'re)?", "them", "these", "those", "he", "she", "him",
    "here", "there", "so", "one", "це", "цього", "цьому", "той", "воно", "його", "її", "їх", "він", "вона",
    "вони", "там", "тут", "так", "это", "этого", "этому", "он", "она", "они", "его", "ему", "их", "здесь",
)  # fmt: skip
ROUTINE: Final = _words(
    "patch(?:set|es)?", "commit\\w*", "merged?", "merging", "pull request", "reviews?", "rebased?",
    "pushed", "build", "deploy\\w*", "joined", "left", "topic", "meeting", "received", "passed",
    "коміт\\w*", "злит\\w*", "збірк\\w*", "коммит\\w*", "слит\\w*", "сборк\\w*", "успішн\\w*", "успешн\\w*",
)  # fmt: skip
VAGUE: Final = frozenset(
    "few far last first second either yourself myself instead between kind lot bit case worst issue issues many "
    "months days several little useful reasonable possible able around keep probably wonder idea question thats "
    "doesnt dont cant didnt isnt wont whole enough alone both none looks seems around anyway once again date "
    "кілька декілька останній перший або хтось щось справа питання ідея місяців днів знову разом взагалі "
    "несколько последний первый либо кто-то что-то дело вопрос идея месяцев дней снова вместе вообще".split()
)
LABELS: Final = {
    "problem": ("problem", "issue", "bug", "проблема", "баг", "помилка", "ошибка"),
    "solution": (
        "solution",
        "fix",
        "fixed",
        "answer",
        "розв'язання",
        "решение проблемы",
        "відповідь",
        "ответ",
    ),
    "decision": ("decision", "decided", "agreed", "рішення", "вирішили", "решение", "решили"),
    "question": ("question", "питання", "вопрос"),
    "idea": ("idea", "proposal", "suggestion", "ідея", "пропозиція", "идея", "предложение"),
    "blocker": ("blocker", "blocked", "блокер"),
    "risk": ("risk", "risks", "ризик", "риск"),
    "requirement": ("requirement", "вимога", "требование"),
}
LABELLED: Final = re.compile(
    rf"\s*[\[(*]{{0,2}}({'|'.join(word for words in LABELS.values() for word in words)})[\])*]{{0,2}}\s*:\s+",
    re.IGNORECASE,
)
MINUTES: Final = {
    "action": "decision",
    "agreed": "decision",
    "accepted": "decision",
    "decision": "decision",
    "rejected": "decision",
    "idea": "idea",
    "info": "insight",
}
MINUTED: Final = re.compile(
    rf"\s*(?:\[({'|'.join(MINUTES)})\]:?|#({'|'.join(MINUTES)}):?|(action) items?:)\s+(?=\w)",
    re.IGNORECASE,
)
MEETING: Final = re.compile(
    r"\s*(?:\[(?:topic|action|agreed|vote)\]|#(?:topic|action|agreed|info|(?:start|end)meeting)(?!\w)|new topic:)",
    re.IGNORECASE,
)
LABELLING: Final = frozenset(
    "ps note nb edit edited fyi btw error warning info debug todo fixme update question problem "
    "answer risk risks plan summary status result results reason fix fixed solution blocker blocked requirement "
    "decision important reminder step steps problem issue bug "
    "ризик план підсумок статус результат причина рішення блокер вимога важливо проблема задача "
    "риск итог результат причина решение блокер требование важно проблема задача "
    "http https re fwd also example e.g i.e tldr tl;dr topic link action idea agreed "
    "питання відповідь примітка помилка увага вопрос ответ примечание ошибка внимание".split()
)
COMMON: Final = frozenset(
    # English
    "the and for that this with you your are was were have has had not but can could would should "
    "will just like what when where which who why how does did doing done don doesn isn didn won "
    "from they them their there here then than also some any all more most much many very really "
    "about into out over only even still too get got getting see say said one two way thing things "
    "think know want need make made use used using work works working going yes yeah okay sure well "
    "now because its it's i'm i've i'll that's there's what's let let's been being could've maybe "
    "something anything someone anyone everyone nothing else help please thanks thank hello try "
    "back good right look sorry same other another such since before after while though through "
    "may might must shall his her him she our ours these those each every own per via yet ever "
    # Ukrainian
    "що щоб як так але або для при про від над під без вже ще тут там той цей ця ці його її їх вони "
    "вона воно мене тебе нас вас мені тобі нам вам був була було були буде бути може можна треба "
    "потрібно коли якщо тому тоді дуже просто все всі цього цей чому хто де який яка яке які мій твій "
    "наш ваш тільки також навіть після перед через між свій себе дякую привіт добре зараз "
    # Russian
    "что чтобы как так но или для при про от над под без уже ещё еще тут там тот этот эта эти его ее "
    "её их они она оно меня тебя нас вас мне тебе нам вам был была было были будет быть может можно "
    "надо нужно когда если потому тогда очень просто все всё этого почему кто где какой какая какое "
    "какие мой твой наш ваш только также даже после перед через между свой себя спасибо привет сейчас "
    "не ни на из по до за это".split()
)


def labelled_as(text: str) -> str | None:
    """The kind of knowledge that a text itself says it is, as in `Risk: …`."""
    minuted = MINUTED.match(text)
    if minuted is not None:
        return MINUTES[next(word for word in minuted.groups() if word).casefold()]
    match = LABELLED.match(text)
    if match is None:
        return None
    named = match.group(1).casefold()
    return next(kind for kind, words in LABELS.items() if named in words)


def commits(text: str) -> bool:
    """Whether somebody takes a task, or says what they are going to do by when."""
    return bool(COMMITTED.search(text)) or any(
        INTENDED.search(sentence) and SCHEDULED.search(sentence)
        for sentence in _SENTENCE_END.split(text)
        if not sentence.rstrip().endswith("?")
    )


def count(pattern: re.Pattern[str], text: str) -> int:
    """How many cues of a table the text holds."""
    return sum(1 for _ in pattern.finditer(text))


def strip_all(text: str, patterns: Iterable[re.Pattern[str]]) -> str:
    """The text without any cue of the given tables."""
    for pattern in patterns:
        text = pattern.sub(" ", text)
    return text
