"""Small, general tables of words by which people signal what a message does.

English, Ukrainian and Russian are covered; elsewhere punctuation and structure must do.
Nothing here names a product, a project or a place where people talk.
"""

import re
from collections.abc import Iterable
from typing import Final

from services.extractor import plans, slavic, slavic_events, stakes, trouble
from services.extractor.patterns import words as _words
from services.extractor.writing import any_apostrophe

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\n+")

GREETING: Final = _words(
    "hi", "hello", "hey", "hiya", "good (?:morning|evening|afternoon|day)", "morning", "greetings",
    "привіт*", "вітаю", "добридень", "доброго (?:ранку|дня|вечора)", "доброе утро", "здоров(?:енькі)? були",
    "добр(?:ий|ого) (?:день|дня|ранок|ранку|вечір|вечора)",
    "привет*", "здравствуй*", "добр(?:ый|ого|ое) (?:день|дня|утро|утра|вечер|вечера)",
    "hola", "salut", "bonjour", "hallo", "ciao", "ol[aá]", "cześć",
)  # fmt: skip
LEAVING: Final = _words(
    "bye", "good\\s?bye", "cya", "see (?:you|ya)(?: later| soon)?", "(?:talk|ttyl|catch you)(?: to you)? later", "ttyl",
    "later", "bbl", "brb", "gtg", "good\\s?night", "lunch(?:time)?", "afk", "have a (?:nice|good|great) \\w+",
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
    "[o0][._][o0]", "xd+",
    "gotcha", "i see", "ah+", "oh+", "hm+", "huh", "wow", "oops", "sorry", "argh", "ugh", "well",
    "so", "ack", "welcome", "you're welcome", "exactly", "indeed", "agreed", "true", "wait",
    "interesting", "anyone", "very", "much", "too", "me", "you", "man", "that's", "it", "is",
    "that", "all", "a", "lot", "ton", "for", "the", "help", "and", "i", "will", "try", "let", "my",
    "так", "ага", "ні", "добре", "зрозуміл*", "ясно", "ок", "гаразд", "супер", "клас*", "точно",
    "угу", "окей", "прошу", "нема за що", "вибач*", "звісно", "да", "нет", "хорошо", "понял*",
    "понятно", "ладно", "отлично", "извини*", "конечно", "пожалуйста", "не за что", "принято",
    "домовил[аи]?с[ья]", "домовлено", "договорил[аи]?с[ья]", "решено", "вирішено", "deal",
    "велике", "дуже", "большое", "очень", "за", "і", "и", "ну", "а", "о", "ой", "це", "это",
)  # fmt: skip
TURNING: Final = _words(
    "fyi", "heads[\\s-]?up", "psa", "attention", "(?:всім |усім )?увага", "(?:всем )?внимание",
    "колеги", "коллеги", "народ",
    "(?:і |й )?ще (?:таке|одне|одна|зауваження|момент)", "(?:и )?ещё (?:такое|одно|замечание|момент)",
    "btw", "by the way", "(?:one )?(?:more|other|another|unrelated) (?:thing|question)", "unrelated",
    *stakes.REMINDING, "до речі", "доречі", "ще (?:одне )?питання", "інше питання", "кстати", "ещё (?:один )?вопрос",
    "другой вопрос",
)  # fmt: skip
YES_NO: Final = _words(
    "yes", "yeah", "yep", "yup", "no", "nope", "nah", "correct", "exactly", "right", "так", "ні", "ага", "угу",
    "да", "нет", "неа", "точно",
)  # fmt: skip
YES_OR_NO: Final = _words(
    "is(?:n't)?", "are(?:n't)?", "was", "were", "does(?:n't)?", "do(?:n't)?", "did(?:n't)?", "will", "would",
    "won't", "has", "have", "had", "чи", "хіба", "невже", "разве", "неужели",
)  # fmt: skip
# How a question begins that asks who, when or how much; "who can help" asks for help.
FACT: Final = _words(
    "(?:(?:and|so|but) )?(?:(?:on|by|for|with|from|of|until|since|to|at) )?(?:who(?:'s|m|se)?|when)"
    "(?! (?:can|could|knows?|would|has))",
    "(?:(?:and|so|but) )?(?:for )?how (?:many|much|long|often|old|big|far|soon)",
    "(?:(?:а|і|й|та|то) )?(?:(?:на|до|з|із|від|у|в|для|за|про|по|о) )?"
    "(?:хто|кого|кому|ким|коли|скільки|який|яка|яке|які|якого|якій|чий|чия|чиє|чиї)"
    "(?! (?:знає|може|зможе|підкаже|допоможе|небудь|має|є))",
    "(?:(?:а|и|но) )?(?:(?:на|до|с|со|от|у|в|для|за|про|по|о) )?"
    "(?:кто|кого|кому|кем|когда|сколько|какой|какая|какое|какие|какого|чей|чья|чьё|чьи)"
    "(?! (?:знает|может|сможет|подскажет|поможет|нибудь|имеет|есть))",
)  # fmt: skip
# How a statement ends that only asks whether it is so.
TAG: Final = re.compile(
    any_apostrophe(
        r"[,–—-]\s*(?:right|correct|yes|no|isn't it|правильно|вірно|так|ні|да|верно|нет)\s*\??$"
    ),
    re.IGNORECASE,
)
WAY: Final = _words(
    "a way", "any way", "possible", "how", "where", "спосіб", "можна", "можливо", "як", "де",
    "способ", "можно", "возможно", "как", "где",
)  # fmt: skip
# Who knows, or learns, how to do something does not ask it.
_NO_SKILL: Final = "".join(
    rf"(?<!{word}\s)"
    for word in "know remember again learn about see on and explains explain".split()
)
ASKING: Final = _words(
    "any(?:one|body) (?:know|knows|have|has|got|here|tried|seen|else)", "is there (?:a|an|any|some\\w*)",
    f"(?:{_NO_SKILL}how to)", "how (?:do|does|can|could|should|would|come)", "can (?:i|we|someone|somebody|anyone)",
    "need (?:some |a little |a )?help", "help me", "looking for", "any (?:ideas?|suggestions?)",
    "(?:don't|dont|do not) (?:\\w+ )?(?:understand|get|know) (?:why|how|what|if|is why|whether|the reason)",
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
    r"(?:when|who) (?:do|does|did|will|can|could|should) \w+", "who (?:has|took|left) (?:the|my|our|an?)",
    r"(?:does|did) (?!not)\w+ \w+", "(?:do|have|would|could|can|will|are|were) you", "(?:is|are) there",
    r"(?:has|have|did|does) any\s?(?:one|body)",
    "чому", "навіщо", "скільки", r"чи (?!не )\w+", "почему", "зачем", "сколько",
)  # fmt: skip
# How a question begins, with its mark or without.
QUESTIONING: Final = _words(
    rf"(?:(?:and|so|but|also|ok|hi|hey) )?(?:what|which|why|how|where|when|who|{_AUXILIARY})",
    "(?:(?:а|і|й|та) )?(?:чи|хто|що|чому|як|де|коли|скільки|навіщо|який|яка|яке|які|куди)",
    "(?:(?:а|и) )?(?:кто|что|почему|как|где|когда|сколько|зачем|какой|какая|какое|какие|куда)",
)
PROBLEM: Final = _words(
    "errors?", "fail(?:s|ed|ing|ures?)?", "broken", "breaks", "crash\\w*", "bugs?", "exceptions?",
    "(?:doesn't|doesnt|does not|don't|didn't|isn't|not|never) (?:\\w+ )?(?:work\\w*|load\\w*|"
    "show\\w*|appear\\w*|respond\\w*|start\\w*|connect\\w*|build\\w*|compil\\w*)",
    "stopped working", "wrong", "issues?", "(?<!no\\s)problems?", "stuck",
    "hang(?:s|ing)?(?! (?:it|them|the|this|up|out|on|in the))", "time(?:s|d)?\\s?out",
    "missing", "invalid", "incorrect\\w*", "refused", "denied", "unexpected\\w*", "corrupt\\w*", "leak\\w*",
    "(?:can't|cannot|cant|unable to) (?:\\w+ )?(?:get|see|find|use|connect|access|log|make|figure|"
    "install|open|run|add|create|locate|seem)", "weird", "strange\\w*", "odd", "undefined",
    "помил*", "не прац\\w*", "пада[єюе]\\w*", "впа[вл]\\w*", "злама\\w*", "(?<!без\\s)(?<!не\\s)проблем\\w*",
    "не вда\\w*", "завис\\w*", "збій", "збо[їю]\\w*", "баг(?:а|у|и|ів|ов|ом|ами|ах)?", "не можу", "не відкрива\\w*",
    "ошиб\\w*", "не работа\\w*", "сломал\\w*", "упал\\w*", "не уда\\w*", "не могу", "сбо[йия]\\w*",
    "не открыва\\w*", "глюч\\w*", "виснет", "не запуска\\w*",
    "broke", "buggy", "freez(?:es|ing)", "froze", "reject(?:s|ed|ing)", "traceback", "segfault\\w*", "panic\\w*",
    "mismatch\\w*", "stale", "faulty?", "faults", "unusable", "outage", "regressions?", "expire[sd]",
    "complain(?:s|ed|ing)?", "offline", "unavailable", "unreachable", "overload\\w*", "overflow\\w*",
    "jam(?:s|med)?", "torn", "firing", "flaky", "died", "is dead",
    "alerts?(?!-)", "(?:is|are|was|were|went|goes|still|service|server|site|host) down",
    "скарж\\w*", "скарг\\w*", "відхил\\w*", "невірн\\w*", "неправильн\\w*", "некоректн\\w*", "тупит\\w*",
    "гальму\\w*", "повільн\\w*", "неможлив\\w*", "лама[єю]\\w*", "відмов\\w*", "втрат\\w*", "втрачен\\w*", "зник\\w*",
    "дубл\\w*", "прострочен\\w*", "протермін\\w*", "(?<!без\\s)винят\\w*", "таймаут\\w*", "переповнен\\w*",
    "недоступн\\w*",
    "офлайн", "протіка\\w*", "тече", "обрива\\w*",
    "нема(?:є)? (?!за |у |в |з |що |чого |часу |сенсу |потреби |про )\\w+",
    "жалу[ею]\\w*", "жалоб\\w*", "отклон\\w*", "неверн\\w*", "некорректн\\w*", "тормоз\\w*", "медленн\\w*",
    "невозможн\\w*", "лома[ею]\\w*", "сломан\\w*", "отказ\\w*", "потер(?:ян|[яю])\\w*", "исчез\\w*", "исключени\\w*",
    "просрочен\\w*", "истека\\w*", "переполнен\\w*", "недоступ\\w*", "протека\\w*", "подтека\\w*", "теч[её]т",
    "обрыва\\w*", trouble.TURNED_DOWN, *trouble.FAILING, "нічого не працює", "ничего не работает",
)  # fmt: skip
FAILURE: Final = _words(
    "errors?", "fail(?:s|ed|ing|ures?)?", "crash\\w*", "exceptions?", "stopped working", "broken",
    "(?:doesn't|doesnt|does not|don't|didn't|isn't|not) (?:\\w+ )?(?:work\\w*|load\\w*|connect\\w*)",
    "(?:can't|cannot|cant|unable to) (?:\\w+ )?(?:get|see|find|use|connect|access|log|make|install)",
    "stuck", "weird", "hang(?:s|ing)(?! (?:it|them|the|this|up|out|on|in the))", "refused", "denied", "undefined",
    "memory leak\\w*", "не(?:можливо|возможно) \\w+(?:ти|ть)(?:с[ья])?", "\\w+т[иь](?:с[ья])? не(?:можливо|возможно)",
    "помилк\\w*", "не прац\\w*", "пада[єюе]\\w*", "впа[вл]\\w*", "злама\\w*", "не вда\\w*", "завис\\w*",
    "ошибк\\w*", "не работа\\w*", "сломал\\w*", "упал\\w*", "не уда\\w*", "виснет", "не запуска\\w*",
    "panic(?:s|ked)", "segfault\\w*", "(?:doesn't|doesnt|does not|didn't|won't) (?:build|compile|start|boot)", "404'?d",
    "(?:is|was|are|were|went) down", trouble.OPEN_NOT, *trouble.FAILING,
)  # fmt: skip
ADVICE: Final = _words(
    "you(?:'ll| will)? (?:\\w+ )?(?:can|could|should|need|want|have to|must|may)", "try", "use",
    "using", "make sure", "instead", "just", "should", "i(?:'d| would)", "have you", "see", "check",
    "look at", "better", "recommend\\w*", "simply", "спробу\\w*", "використ\\w*", "треба",
    "потрібно", "можеш", "можете", "перевір(?:те|мо|ити|яй\\w*)?", "додай\\w*", "постав(?:те|мо|ити)?", "краще",
    "замість", "достатньо", "попробу\\w*", "использ\\w*", "нужно", "надо", "можешь", "проверь\\w*",
    "добавь\\w*", "лучше", "вместо", "достаточно", slavic_events.TOLD_TO,
)  # fmt: skip
# All its words have the letter that is looked for first.
PLANNED: Final = re.compile(
    any_apostrophe(rf"(?<!\w)(?=\w*м)(?<!чи ){plans.MANY_DO}(?![^.!?\n]*\?)"), re.IGNORECASE
)
# A question of what to do, to all: what is answered settles it.
DELIBERATED: Final = re.compile(
    any_apostrophe(
        r"(?<!\w)(?:(?<!how )(?<!what )(?<!why )(?<!where )(?<!when )(?:should we|shall we|"
        r"do we (?!have|know|need|use|support|get|see|still|want)\w+)|"
        rf"(?:чи )?{plans.MANY_DO}|чи (?:варто|треба|потрібн\w+)|"
        r"(?:точно|взагалі|вообще) (?:потріб\w+|треба|нуж\w+|надо))(?!\w)[^.!?\n]*\?"
    ),
    re.IGNORECASE,
)
DECISION: Final = _words(
    "let's", "lets", "we(?:'ll| will| decided| agreed| are going to|'re going to| went with)",
    "decided", "decision", "agreed to", "going with", "i(?:'ll| will) (?!be|see|try|look|check)\\w+",
    "(?:i|we)(?:'ve| have)? (?:\\w+ )?(?:moved|switched|chose|picked|postponed|dropped|taken over)",
    "will do", "approved", "resolved to", "i think i(?:'ll| will)", "\\[agreed\\]", "\\[action\\]", *slavic.RESCHEDULED,
    "виріши\\w*", "домови\\w*", "давайте", "будемо", "зробимо", "беремо", "переходимо", "(?<!не\\s)погоди\\w*",
    "рішили", "(?:наше|спільне|остаточне) рішення", "решили", "решено", "договорил\\w*", "будем", "сделаем", "берём",
    "перехо[дж]\\w*", "погоджено", "узгоджено", "затвердил\\w*", "затверджено", "согласовано", "согласовали",
    "утвердил\\w*", "утверждено", "(?:рішення|решение) (?:таке|такое|прийнят\\w*|принят\\w*)", "вирішен\\w*",
    "домовлен\\w*", *slavic.DECIDED, *plans.SETTLING,
)  # fmt: skip
SETTLED: Final = _words(
    "(?:we|it was|was|has been|have been|is|been) (?:\\w+ )?(?:decided|agreed|approved|settled)",
    "we(?:'ve)? (?:decided|agreed)", "let'?s (?:decide|agree|settle|keep|use|go with|drop|move|switch|stick)",
    "decided (?:with|by|at|together|yesterday|today)",
    "let'?s (?:stay|skip|close|cancel|postpone|remove|ship|make (?:it|that|this)|write|order|hire|leave|put|send|set)",
    "давайте (?:виріш|домов|залиш|візьм|перейд|реш|догов|остав|возьм)\\w*", "decision is", "the decision",
    "рішення (?:таке|прийнят\\w*)", "погоджено", "узгоджено", "затвердил\\w*", "затверджено",
    "вирішил\\w*", "вирішено", "домовил\\w*", "домовлено", "погодили", "ухвалил\\w*",
    "решили", "решено", "договорил\\w*", "приняли решение", "утвердил\\w*",
    "решение (?:такое|принят\\w*)", "согласовано", "согласовали", "утверждено", *slavic.DECIDED, *plans.SETTLING,
)  # fmt: skip
# What tells that a sentence decides, by its words, and also by what many are going to do.
DECIDED: Final = re.compile(f"{DECISION.pattern}|{SETTLED.pattern}", re.IGNORECASE)
DECIDING: Final = re.compile(f"{DECIDED.pattern}|{PLANNED.pattern}", re.IGNORECASE)
_SUGGESTING: Final = (
    "(?:maybe|perhaps|how about|shall) we", "why (?:not|don't we)", "we could", *stakes.PROPOSING,
    "чому б (?:не|нам)", "почему бы (?:не|нам)",
)  # fmt: skip
SUGGESTED: Final = _words(*(rf"(?:\w+[,:] )?{item}" for item in _SUGGESTING))
# The same anywhere in a text, without the word before it that a sentence may begin with.
SUGGESTING: Final = _words(*_SUGGESTING)
COMMITTED: Final = _words(
    "leave (?:that|it|this) (?:to|with) me", "i(?:'m| am) on it", "i can (?:take|do|handle) (?:it|that|this)",
    "i(?: can|'ll| will)? volunteer", "(?:i|we)(?:'ve| have)? (?:\\w+ ){0,2}taken over", "consider it done",
    "бер[уе]\\w* на себе", "візьму\\w*", "я зроблю", "зробимо", "беру на себя", "возьм[уё]\\w*", "я сделаю",
)  # fmt: skip
INTENDED: Final = _words(
    "(?:i|we)(?:'m| am|'re| are) (?:\\w+ )?(?:going to|planning|hoping|aiming|working on|finishing|continuing)",
    "(?:i|we)(?:'ll| will)", "(?:i|we)(?:'m| am|'re| are) on",
    "we (?:now |only )?(?:release|ship|launch|deploy|start|stop|open|close|move|switch|meet|freeze|go|pay|raise)",
    "(?:i|we) (?:\\w+ )?(?:plan|intend|hope|aim|want|need) to", "(?:the )?plan is",
    "(?:я )?(?:планую|збираюсь|збираюся|буду|хочу|маю)", "(?:ми )?(?:плануємо|збираємось|будемо|маємо)",
    "(?:я )?(?:планирую|собираюсь)", "(?:мы )?(?:планируем|собираемся|будем)",
)  # fmt: skip
_MONTHS: Final = (
    "(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|"
    "jul|aug|"
    "sept?|oct|nov|dec|січ(?:ня|ні)|лют(?:ого|ому)|берез(?:ня|ні)|квіт(?:ня|ні)|трав(?:ня|ні)|черв(?:ня|ні)|"
    "лип(?:ня|ні)|"
    "серп(?:ня|ні)|верес(?:ня|ні)|жовт(?:ня|ні)|листопад[аі]|груд(?:ня|ні)|январ[яе]|феврал[яе]|март[ае]|апрел[яе]|"
    "ма[яе]|"
    "июн[яе]|июл[яе]|август[ае]|(?:сент|окт|но|дек)[ая]?бр[яе])"
)
SCHEDULED: Final = _words(
    "today", "tonight", "tomorrow", "by the end of", "(?:before|for|after) the release",
    "(?:this|next|the coming|later this) (?:week|month|sprint|cycle|release|quarter|afternoon)",
    "(?:on|by|until|before|next|this|from|every) (?:mon|tues|wednes|thurs|fri|satur|sun)days?",
    r"(?:from|in|on|by|until|till|before|after|з|із|від|до|у|в|на|по|с|со) (?:the )?"
    rf"(?:\d{{1,2}}(?:st|nd|rd|th|-?го)? )?{_MONTHS}",
    "сьогодні", "завтра", "(?:цього|наступного) (?:тижня|місяця|спринту)",
    "(?:до|у|в|на|з) (?:понеділ|вівтор|серед|четвер|п'ятниц|субот|неділ)\\w*",
    "сегодня", "(?:на )?(?:этой|следующей) неделе", "(?:в этом|в следующем) (?:месяце|спринте)",
    "(?:до|в|во|на|с) (?:понедельник|вторник|сред|четверг|пятниц|суббот|воскресен)\\w*",
    r"(?:by|until|до|к) (?:[0-2]?\d:[0-5]\d|(?:[0-2]?\d|3[01])\.(?:0[1-9]|1[0-2])(?![.\d]))",
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
    "(?:i'm|we're|still|are|am) waiting (?:for|on)", "waiting (?:for|on) (?:\\w+ ){1,3}to",
    "can't (?:proceed|continue|move)", "stalled", *stakes.HOLDING, "(?<!не\\s)блоку\\w*", "блокер\\w*",
    "(?<!не\\s)заблок(?:ован|ирован|ируе|ирую)\\w*", "чека(?:ю|ємо)(?! (?:на )?(?:вас|тебе|всіх|усіх|тут|там))",
    "не може(?:мо)? продовж\\w*", "блокир\\w*", "жд[уеё]\\w*", "не мо(?:гу|жем) продолж\\w*",
)  # fmt: skip
PATTERN: Final = _words(
    "every time", "always happens", "whenever", "keeps (?:happening|\\w+ing)", "usually", "as a rule",
    "щоразу", "постійно", "зазвичай", "каждый раз", "постоянно", "обычно", "как правило",
)  # fmt: skip
WORKED: Final = _words(
    "work(?:ed|s)(?: now| fine| great| perfectly)?", "working (?:now|fine)", "fixed", "solved",
    "(?:runs|compiles|builds|loads|starts|boots) (?:just |all )?(?:fine|ok(?:ay)?)", "seem(?:s|ed) to work",
    "(?:makes?|made|got) (?:it|this|that|them|everything|things)(?: all)?(?: to)? work(?:ing)?",
    "that did it", "that was it", "that's why", "did the trick", "perfect", "makes sense",
    "працює", "запрацювал\\w*", "допомогло", "вирішено", "вийшло", "полагодив\\w*",
    "работает", "заработал\\w*", "помогло", "решено", "получилось", "починил\\w*",
)  # fmt: skip
# What somebody did about a matter, not what is done to it ("are never deleted").
_NO_PASSIVE: Final = "".join(
    rf"(?<!{word}\s)" for word in "is are was were be been being not never got get gets to".split()
)
REMEDIED: Final = _words(
    f"{_NO_PASSIVE}(?:fixed|cleaned|cleared|restarted|rebooted|reverted|rolled back|updated|upgraded|replaced|removed|"
    "deleted|added|changed|raised|reinstalled|disabled|enabled|bumped|rerun|re-?ran|set)",
    "fix is (?:live|out|in|up|deployed|merged)", *trouble.DONE,
    "(?:виправи|полагоди|почисти|постави|зміни|прибра|видали|перезапусти|перезавантажи|онови|дода|заміни|налаштува|"
    "збільши|вимкну|увімкну|відкоти|перероби)(?:в|ла|ли)",
    "(?:исправи|почини|почисти|постави|измени|поменя|убра|удали|перезапусти|перезагрузи|обнови|добави|замени|настрои|"
    "увеличи|отключи|включи|откати|передела)(?:л|ла|ли)",
)  # fmt: skip
# What adds to what the same speaker said before.
ADDING: Final = _words(
    "(?:and )?also", "(?:і |й |та |а )?(?:ще|також|теж)", "(?:и |а )?(?:ещё|еще|также|тоже)"
)
REQUIRED: Final = re.compile(f"{REQUIREMENT.pattern}|{stakes.REQUIRED}", re.IGNORECASE)
FEARED: Final = re.compile(
    f"{RISK.pattern}|{stakes.WARNING.pattern}|{stakes.LOSS.pattern}", re.IGNORECASE
)
PROPOSED: Final = re.compile(f"{IDEA.pattern}|{SUGGESTED.pattern}", re.IGNORECASE)
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
    "you(?:'re|'ll|'ve)?", "yours?", "ти", "ви", "тобі", "вам", "твій", "ваш\\w*", "ты", "вы", "тебе",
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
    "doesnt dont cant didnt isnt wont whole enough alone both none looks seems anyway once again date "
    "кілька декілька останній перший або хтось щось справа питання ідея місяців днів знову разом взагалі "
    "несколько последний первый либо кто-то что-то дело вопрос идея месяцев дней снова вместе вообще".split()
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
    "що щоб шо шоб як так але або для при про від над під без вже ще тут там той цей ця ці його її їх вони "
    "вона воно мене тебе нас вас мені тобі нам вам був була було були буде бути може можна треба "
    "потрібно коли якщо тому тоді дуже просто все всі цього цей чому хто де який яка яке які мій твій "
    "наш ваш тільки також навіть після перед через між свій себе дякую привіт добре зараз більше менше "
    # Russian
    "что чтобы как так но или для при про от над под без уже ещё еще тут там тот этот эта эти его ее "
    "её их они она оно меня тебя нас вас мне тебе нам вам был была было были будет быть может можно "
    "надо нужно когда если потому тогда очень просто все всё этого почему кто где какой какая какое "
    "какие мой твой наш ваш только также даже после перед через между свой себя спасибо привет сейчас "
    "не ни на из по до за это больше меньше".split()
)


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
