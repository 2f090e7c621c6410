"""How people tell trouble, as parts of patterns: what is not done, done twice, takes too long, breaks or runs out."""

from typing import Final

from services.extractor import slavic_events
from services.extractor.mishaps import MENDED, MISHAPS
from services.extractor.patterns import words

# Beginnings of what things and programs are expected to do, in Ukrainian and Russian.
_WHAT_THINGS_DO: Final = (
    "пуска|груз|вантаж|приход|прийш|надх|вход|захо|чу[євл]|відпов|зберіг|збереж|відправ|друку|відкри|гріє|світ|"
    "чист(?:ить|ять)|тягн|качає|крут(?:ить|ять)|трима[єю]|лов(?:ить|лять)|чита[єю]|зчиту|видаля|оновлю|показу|"
    "раху[єю]ть?|"
    "підтягу|реагу|гор(?:ить|ять)|прийма[єю]|вида[єю]|списує|нарахову|врахову|синхроніз|надсила|запам'ятов|спрацьов|"
    "пропуска|бере(?!мо|те)|скану|розпізна|заряджа|мороз(?:ить|ять)|"
    "отвеча|сохран|отправ|печата|загру|слыш|гре[ею]т|чист(?:ит|ят)|тянет|качает|крут(?:ит|ят)|держит|лов(?:ит|ят)|"
    "чита[ею]т|удаля|обновля|показыва|реагиру|гор(?:ит|ят)|принима[ею]т|списыва|начисля|учитыва|синхрониз|срабатыва|"
    "бер[её]т|сканиру|распозна|заряжа|мороз(?:ит|ят)"
)
# What we or you do not do, or are told not to, is no thing's failure.
_OURS: Final = "\\w+(?:мо|мося|мось|[еєиї]ш|[еи]шь|[еєиї]те|[её]м|им|й|йте|йтесь|ти|тися)(?!\\w)"
# What things do not do.
DO_NOT: Final = f"не (?!{_OURS})(?:{_WHAT_THINGS_DO})\\w*"
OPEN_NOT: Final = f"не (?!{_OURS})(?:відкрива|открыва)\\w*"
DOES_NOT: Final = (
    "(?:doesn't|doesnt|does not|won't|wont) (?:\\w+ )?(?:work|load|show|appear|respond|start|connect|build|compile|"
    "save|update|sync|open|close|print|charge|scan|send|render|refresh|trigger|fire|turn|boot|install|accept|register|"
    "recogni[sz]e|detect|take(?! (?:long|much))|read|hold|heat|cool|light|ring|lock|pick up|let me|let us)"
)
# What is done or comes once too often.
TWICE: Final = (
    "(?:billed|charged|paid|debited|booked|counted|sent|posted|printed|delivered|imported|arriv\\w*|comes?|came|coming|"
    "fir(?:e|es|ed)|trigger\\w*) (?:\\w+ )?twice",
    "(?:двічі|по два рази) (?:прих|прий|над|спис|зня|опла|нара|запис|відпр|друк|пока|спра)\\w*",
    "(?:прих|прий|над|спис|зня|опла|нара|запис|відпр|друк|спра)\\w* (?:двічі|по два рази)",
    "(?:дважды|по два раза) (?:прих|приш|спис|снял|опла|начис|запис|отпр|печа|сраб)\\w*",
    "(?:прих|приш|спис|снял|опла|начис|запис|отпр|печа|сраб)\\w* (?:дважды|по два раза)",
)
# What lasts longer than people bear; that something costs "more than an hour" of work is no trouble.
SLOW: Final = (
    "(?:so|too|very|really|painfully|extremely|terribly|super) slow(?:ly)?",
    "(?:takes?|took|taking) (?:forever|ages|(?:way |far |much )?too long)",
    "(?:takes?|took|taking) (?:more than|over|at least|up to|almost|nearly) (?:an?|one|two|\\d+|several|half an?) "
    "(?:seconds?|minutes?|hours?) to (?:open|load|start|respond|render|answer|log|show|appear|build|boot|print)",
)
# How people say of a thing that it is of no use any more.
BROKE_DOWN: Final = (
    "[зс]дох(?:л[аои])?|накри(?:вся|л[аои]с[ья]|лися)|накры(?:лся|лась|лось|лись)|згорі(?:в|л[аои])|сгорел[аои]?|"
    "зламан\\w*|"
    "не (?:завод|завел|завёл|вмика)\\w*|(?:ci|builds?|tests?|pipelines?|main|master) (?:is|are|goes|went|turned) red"
)
# What is not done to a thing or by it: "не закривається", "не читается"; not what people feel, mean or need.
NOT_DONE: Final = (
    "не (?!(?:подоба|зда|хоч|хот|вважа|счита|рекоменд|стос|кас|каж|потр|вийд|виход|план|збира|собира|бо[їія]|сподів|"
    "наде|розу|подразум|мож|дума|в[іе]р|хвилю|волну|соглаша|погодж|сумнів|сомнева|див|хвата|нрав|удиви|дивує|явля|"
    "назива|відно|относ|зустр|встреч|обговор|обсужд|допуска|дозвол|разреша|буд|ста|лиш|оста|згад|упомина|опис|вказ|"
    "указ|"
    "зазнач|передбач|предусм|очік|ожида|включа|вход)\\w*(?:ться|тся)(?!\\w))\\w{3,}(?:[єеїиую]ться|[аяеиую]тся)"
)
# What there is too little of, or none any more.
LACKING: Final = (
    "не (?:вистача|хвата)\\w*|не вистачить|не хватит|бракує|бракувало|(?:за|с)кінчи(?:вся|л[аои]с[ья]|лися)|"
    "(?:за|о)кончил(?:ся|ась|ось|ись)|(?:ran|run|running|runs) out(?: of)?|не (?:видно|чути|слышно)"
)
# What becomes of things: they crack, bend, jam, leak, get wet, go bad.
HARMED: Final = (
    "(?:лопну|трісну|тресну|зігну|согну|погну|прогну|порва|розірва|разорва|розби|разби|відпа|отпа|відвали|отвали|"
    "заклини|"
    "засміти|засори|промок|відсиріл|отсыре|зіпсува|испорти|протух|зацві)(?:л[аои]?|в)?(?:с[ья])?|заїда[єю]\\w*|"
    "заеда[ею]\\w*|відсиріє|отсыреет|протіка\\w*|(?:is|are|was|were|got|came) "
    "(?:bent|cracked|ripped|soaked|mouldy|moldy|leaking|jammed)"
)
# What is not there when it should be.
DELAYED: Final = (
    "запізню\\w*|затриму[єю]ться|затрим(?:ав|ал)[аио]?с[ья]|затрим(?:ка|ки|ку)|опазды?ва[ею]т|задержива[ею]тся|"
    "задержал[аио]?с[ья]|задерж(?:ка|ки|ку)|(?:is|are|was|were|got|running|be) (?:delayed|late)|behind schedule|"
    "(?:раніше|раньше) (?:ніж |чем )?(?:\\w+ ){0,3}не (?:буд|при|вст|усп|вид)\\w*|(?:буду|буде|будемо|приїду|приїде|"
    "приїдемо|привезуть|привезу) пізніше|"
    "(?:буду|будет|будем|приеду|приедет|привезут|привезу) позже|(?:will|'ll) (?:be|arrive|"
    "come) (?:\\w+ ){0,3}late(?:r than \\w+)?"
)
# What somebody took, or nobody finds any more.
GONE: Final = (
    "(?:вкра|украл|украд|поцупи|стяну|сти[бр]ри|загуби|посія)(?:л[иаои]?|в|ден[оаі]?)?|пропа(?:в|л[аои])|"
    "stole|(?:was|were|got|been|is|are) (?:stolen|worn out)|знош(?:ен|ув)\\w*|изно(?:шен|сил)\\w*"
)
# Trouble by its name, what does not come, and what does not build where nobody is about to do something.
NAMED: Final = (
    "(?<!no\\s)(?<!the\\s)(?<!without\\s)troubles?", "blank (?:page|screen)", "(?:page|screen) is blank",
    "(?:not|n't|never) (?:getting|seeing|receiving|hearing) (?:any|an?|my|back)",
    "(?:don't|doesn't|didn't|dont|doesnt) (?:get|see|receive|hear) (?:any|an?|my)(?! idea)",
    "nothing (?:happens|happened|shows up|comes)", "no (?:output|response|effect|sound|signal)",
    "dies|(?:would|will) die",
    "не (?:збира[єю]ться|собира[ею]тся)(?! (?:\\w+ ){0,2}\\w+(?:ти|ть)(?!\\w))",
)  # fmt: skip
# What others did not accept.
TURNED_DOWN: Final = "(?:заверну|забракува|відшили|отшили)(?:ли|в|ла)?"
# Who asks whether others have it too tells trouble.
SHARED: Final = words(
    "(?:any(?:one|body)|someone|somebody) else (?:\\w+ )?(?:get|got|see|hav|had|notic|fac|hit)\\w*",
    "(?:is it )?(?:just|only) me,? or", "is it (?:just|only) me",
    "(?:у|в) (?:когось|кого-небудь|всіх|усіх|вас) (?:ще|теж|також|так само)", "(?:тільки|лише) (?:у|в) мене",
    "(?:у|в) (?:кого|когось) ще", "у (?:кого-то|кого-нибудь|всех|вас) (?:ещё|еще|тоже|также)", "(?:только|лишь) у меня",
)  # fmt: skip
# What somebody did about trouble, besides what programs are fixed by.
DONE: Final = (
    MENDED, "(?:both|all|it's|its) done", "готово", "зроблено", "сделано",
    "(?:зроби|написа|переключи|підключи|відключи|подзвони|зателефонува|викли[кч]а|замови|відправи|віднови|"
    "запусти|"
    "купи|відда|домови|відкри|закри|перес[уо]ну|переві|відрем|полата)(?:в|ла|ли)(?:с[ья])?",
    "(?:сдела|написа|переключи|подключи|отключи|позвони|вызва|заказа|отправи|восстанови|запусти|купи|отда|договори|"
    "откры|"
    "закры|подвину)(?:л|ла|ли)(?:с[ья])?",
)  # fmt: skip
# All that tells a failure by itself.
FAILING: Final = (
    DO_NOT, *NAMED, NOT_DONE, DOES_NOT, LACKING, HARMED, GONE, DELAYED, BROKE_DOWN, *TWICE, *SLOW, *MISHAPS,
    *slavic_events.BEFALLEN,
    "(?:nothing|no longer) works?",
)  # fmt: skip
