"""Words by the part they play in a sentence, for finding names in chat; English, Ukrainian and Russian.

Nothing here names a product, a project or a place where people talk.
"""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _forms(verb: str) -> list[str]:
    """The regular forms of an English verb."""
    if verb.endswith("e"):
        return [verb, f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"]
    if verb.endswith("y") and verb[-2] not in "aeou":
        return [verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"]
    s = f"{verb}es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{verb}s"
    doubled = f"{verb}{verb[-1]}"
    return [verb, s, f"{verb}ed", f"{verb}ing", f"{doubled}ed", f"{doubled}ing"]


# Who or what acts: a plain word after one of these is a verb.
SUBJECTS: Final = _words("""
whose lemme gimme i you he she it we they who which there nobody somebody someone anyone everyone
people я ти ви він вона воно ми вони хто ты вы он она оно мы они кто
""")

# What a verb follows.
MODALS: Final = _words("""
not can could will would shall should may might must cannot can't couldn't won't wouldn't shouldn't
don't doesn't didn't do does did never please let's lets i'll you'll we'll they'll it'll he'll
she'll i'd you'd we'd they'd gonna wanna dont doesnt didnt wont cant always just also then already
не можна треба потрібно слід варто будемо буде буду хочу хочемо може можу можемо можеш давай давайте
щоб можно нужно надо следует стоит будем будет хотим может могу можем можешь чтобы
""")

# What a participle follows.
BEING: Final = _words("""
am is are was were be been being isn't aren't wasn't weren't i'm you're we're they're it's he's
she's that's there's who's what's get gets got getting keep keeps kept start starts started stop
stops stopped
""")

# What a participle of the past follows.
HAVING: Final = _words("""
have has had having i've you've we've they've haven't hasn't hadn't
""")

# Whom a verb affects: the word before one of these is a verb.
OBJECTS: Final = _words("""
you it me him her us them myself itself yourself
""")

# What opens a name, or stands between a link and one.
ARTICLES: Final = _words("""
a its the an my your our their his this these those
""")

# Whose something is: it belongs to who speaks.
OWNERS: Final = _words("""
my your our мій моя моє мої твій ваш мой мое мои твой
""")

# What joins two names into one.
LINKS: Final = _words("""
in of for to from on with without at via vs between into against та і й в у на для до від з із зі по
без після и с со к от из после
""")

# What a verb takes with it.
PARTICLES: Final = _words("""
up down out off back away over together apart below above again
""")

# Forms of verbs, and words that look like them, that name things as well: which it is, the neighbours tell.
BOTH: Final = _words("""
permit permits import typing name link return start stop answer attempt copy download edit help hit
install lead look need order pick point read reply save set show sort sound talk test throw trigger
try turn use wait work write hang crash switch load pull push check run wrap fix break build drop
move pass support cause change update cover exit force fire fork click count crop cut deal focus
kick launch limit list lock log match matter merge note offer paste pipe post print question report
request reset rule search sign sleep split store supply trust type upgrade upload vote watch deploy
release schedule review commit track map cache block output end export roll scale shows blocks
builds causes changes charge checks clicks commits cost crashes deploys edits exports fixes forks
imports installs issue issues leak limits links lists loads locks logs maps mark matches merges
notes orders pipes points posts questions range rate rates reads record records releases replies
reports requests returns reviews rules runs sets splits stores switches tests triggers types updates
upgrades uploads uses view views votes writes queue reason result results sample schedules shop
spell step steps trade transfer transfers value values payout payment process processes access
address backup default downloads dump dumps error errors filter filters format formats function
group host hosts hook hooks index input key keys label labels message messages mount names packages
page pages patch plan plans plug practice program project rollback route routes script scripts
server service services skin sync tag tags target template templates thread threads time title token
tokens topic trace user users version versions window windows outputs ends building encoding
decoding testing printing meeting listing setting settings logging billing pricing training
rendering routing caching hosting warning warnings mapping mappings binding bindings handling
processing polling indexing pinning tracking packaging versioning onboarding writing reading parsing
formatting locking signing spelling spacing padding heading string strings staging
""")

# Those of them that open a clause as an order rather than as a name.
ORDERS: Final = _words("""
start stop help look set show throw try turn use wait check run fix move change update cut
""")

# Irregular forms of verbs.
IRREGULAR: Final = _words("""
did got kept stopped heard hit let put read set shut cut split given began begun became brought
bought built came caught chose chosen done drew drawn drove driven ate eaten fell fallen felt found
flew forgot forgotten froze frozen gave went gone grew grown held hid hidden knew known laid led
left lent lost made meant met paid ran rose said saw seen sent shook showed shown slept spoke spoken
spent spread stood stuck stole swore took taken taught told thought threw thrown understood woke won
wore wrote written gotten sold sought broke broken lies dies tried tries
""")

# What says nothing of the matter: adverbs, measures of time, judgements, words of talk.
EMPTY: Final = _words("""
inside outside nobody somebody never dont doesnt didnt wont cant always just also already that's
without via ever sort own rather than iirc fyi imo imho afaict tldr tbh lgtm ianal btw xd excellent
wonderful absolute terrible horrible amazing perfect painful fine wasnt werent hasnt havent shouldnt
couldnt wouldnt blah whatnot besides exact whole specific following particular entire actual
regarding concerning anymore given provided thus up down out off back away over together apart below
above again else ago almost altogether barely completely correctly currently directly easily
everytime exactly fairly finally forever fully generally hence here however instead lately later
least less manually maybe mostly nearly nicely often otherwise perhaps possibly presumably properly
quickly quite really recently repeatedly seriously simply sometimes somewhat somewhere somewhen soon
strangely successfully suddenly therefore today tomorrow tonight totally usually whatever whenever
wherever whether yesterday unfortunately hopefully obviously apparently especially regardless
despite except unless within upon across along among beyond during toward towards per plus lol haha
hmm afaik anyways alright aight welp hey guys folks dude man everybody anybody pretty damn crap shit
wtf omg everywhere due latter former day days weekend weekends daytime teh etc e.g i.e stuff bunch
couple plenty lots rest sorts sense luck fun bad nice great cool awesome weird strange odd ugly
stupid silly crazy dumb funny sad happy sure able ready certain different various similar earliest
latest next previous today's minute minutes hour hours week weeks month year years morning evening
moment while ages half quarter twice thrice none nope yep yeah okay isnt monday tuesday wednesday
thursday friday saturday sunday теж також потрібен потрібна потрібне потрібні двоє троє четверо
перші перша два дві три кожен кожна кожне кожні кожного кожну урахуванням весь вся все усе всіх усіх
жодного жодної рядом зате навіть замість середньому дуже зараз зразу сьогодні завтра вчора зранку
вранці вночі ввечері одразу нарешті взагалі майже більше менше довше краще гірше швидше знову завжди
ніколи інколи часто рідко раз рази разів тиждень тижня тижні тижнів день дня дні місяць місяця
місяці година години годин хвилина хвилини хвилин секунд секунди інше інший інші інша решта поки тож
отже тобто наприклад отак ніхто хтось щось ніщо цікаво критично добре погано легко важко швидко
повільно стільки скільки немає нема інакше окрім крім приблизно рівно лише тепер тоді туди сюди
звідки звідси люди людей тоже нужен нужна нужны двое трое первые первая каждый каждая каждое каждые
каждую всех сейчас сегодня вчера утром ночью вечером сразу наконец почти больше меньше дольше лучше
хуже быстрее опять всегда никогда иногда редко разы неделя недели недель дней месяц месяца час часа
часов минута минуты минут секунды другое другой другие остальное пока итак например никто кто-то
что-то интересно хорошо плохо трудно быстро медленно столько сколько иначе вместо кроме примерно
ровно лишь теперь туда сюда откуда кого кому ким чого чим біля щодо протягом впродовж навколо серед стосовно
завдяки згідно поруч далі плюс мінус повністю частково терміново самі сама сам собі двох трьох чотирьох двом
трьом обох возле около вокруг насчёт насчет среди благодаря согласно далее полностью частично срочно сами
кем чего двух трёх четырёх трём двум обоих січня лютого березня квітня травня червня липня серпня вересня
жовтня листопада грудня января февраля марта апреля мая июня июля августа сентября октября ноября декабря
дівчата дівчатка хлопці девочки девчонки ребята дякую спасибо привіт привет будь ласка пожалуйста понеділок
вівторок середу середа четвер п'ятницю п'ятниця суботу неділю понедельник вторник среду среда четверг
пятницу пятница субботу воскресенье всім усім всем увага увагу внимание навіщо нащо чому скільки звідки коли
хіба невже зачем почему отчего сколько откуда когда разве неужели шо шось чо чё нету боже господи cheers
mate tho until only brb fwiw решту решти йому їй їм нам вам мені тобі ему ей короче коротше якшо якщо ніж
чем ясно блін блин оба обидва обидві обоє обе
""")

# Words that only describe: they may begin a name and stand in it, but not end it.
QUALITIES: Final = _words("""
relevant overall related common last default painful exact whole specific entire broken ready
new old big small large long short high low full empty main early late first second third single
double good better best worse worst wrong right correct incorrect invalid valid free real true false
possible impossible missing existing same public private local remote global internal external
current additional extra separate general normal usual rare simple complex easy hard difficult safe
unsafe secure recent final initial total raw random strict static dynamic active inactive custom
automatic manual official anonymous generic basic advanced primary secondary optional mandatory
necessary useful useless upcoming ongoing pending nightly daily weekly monthly yearly slow fast
quick tiny huge grey gray red green blue black white dark light hosted confusing lower upper inner
outer online offline
""")

# Words that name something although they end as describing ones do.
NO_QUALITIES: Final = _words("""
table finish publish topic public generic basic tables variable cable topics traffic logic music
fabric metric magic panic mechanic critic clinic graphic english polish dish executable deliverable
stylish semantic arithmetic diagnostic heuristic statistic characteristic
""")

# Words that are no adverbs although they end so.
NO_ADVERBS: Final = _words("""
apply reply supply only early nightly daily weekly monthly yearly family assembly anomaly monopoly
italy july friendly user-friendly read-only fly rally ally belly jelly bully
""")

# Forms of Ukrainian and Russian verbs that their endings do not tell.
VERBS_CYRILLIC: Final = _words("""
буде може стоит может є був була було були глянеш глянь дивлюся зроблю зробимо пишу пишуть питає
питають просять просить йдуть йде іде ідуть можуть хочуть хоче мають має знає знають падає падають
стоїть стоять лежить кажуть каже пише пишет пропоную пропонує рекомендую думаю думала гадаю нагадую
раджу прошу чекаю чекає чекатиму міг могла могли мог знаю идут идёт идет могут хотят хочет имеют
имеет знает знают лежит говорят говорит просит просят предлагаю напоминаю советую жду ждёт
торкнеться кажется здається виходить стартує віддає вважає пройшла пройшов прийшов прийшла впала
впав упала вийшов вийшла подав подала зміню зроби зробіть роби робіть постав перевір видали видаліть
додай додайте створюй створи запусти встанови виправ полагодь візьми візьмемо беремо берем
постановили тримаємо поставь проверь удали добавь создай установи исправь возьмём сделай берём стоят
лишаємо перенесли знайдена знайдено коштує коштують чіпає виберіть оберіть завантажте підпишу
записала записав викочено виправлено нагадайте глянемо подивилась подивився посмотрел посмотрела
відповідає відповідають відкривають шукають приймаємо
має діє дбає шле зве зову зовуть зовут звуть рве рву п'є п'ю п'ють пьёт пьют б'є дав мав дал ждал
спал взял живу живуть живёт живут лежу сиджу сижу стою стоїш держу мовчу молчу кричу лечу вчу учу
несуть ношу вижу увижу плачу сплачу заплачу оплачу напишем купи чищу почищу тече течёт лізе лезет
вилізе вылезет росте растёт кладу кладе кладёт покладу покладе поклади положу положи впаде впадёт
упаде упадёт пропаде пропадёт попаде попадёт випаде выпадет ляже ляжу ляжет рахую порахую тестую
готую планую малюю пакую чергую публікую формую корегую рисую пробую требую использую успею імею
имею умею вмію болею хворію розумію оціню заміню поясню уточню виконаю стій стой стійте сядь їж жди
лови держи тримай дивись подивись смотри посмотри проверь скажи зачекай погоди подзвони позвони
передзвони перезвони набери вруби натисни вимкни відправ відправте отправь отправьте надішли пришли
вышли помоги допоможи залиш залиште оставь оставьте прибери забий забей вбий вбей залий залей залию
залью зайде почини приніс привіз завіз відвіз зміг допоміг зник виник звик нёс принёс привёз смог
помог возник исчез погас умер лёг видит висит горит спит сидит ходит звонит платит тормозит грузит
глючит держит хранит служит звучит выходит приходит находит заходит проходит уходит подходит
переводит вводит приводит значит помнит ставит чинит делит лежат висят горят видят ходят сидят
звонят держат помнят ставят спрошу решу решит решат куплю встречу бегу біжу біжить бежит веземо
возим возит возят полежит поставит отправит обновит проверит исправит починит
""")

# Ukrainian and Russian words that name something although they end as verbs do.
NAMES_CYRILLIC: Final = _words("""
час тариф тарифи сертифікати клієнти ліміти листи тести пакети чати версії контакти звіти мати діти
дата дати відповідь відповіді зустріч міграція місто місця мета пам'ять мережа користувач ціна права
мова мови справа назва зв'язок ключ індекс поле поля сніг серпень липень червень квітень
""")

# Words that name something in every talk, and so tell none.
GENERAL: Final = _words("""
situation reason case example way thing point kind problem issue error question idea fact sense
option hand person people part result difference value type work time place end start step help
answer discussion consideration possibility chance attempt solution change amount number list look
support user message code line page name form ситуація причина випадок приклад спосіб проблема
помилка питання варіант людина частина результат різниця значення робота час місце кінець початок
крок допомога відповідь число список повідомлення код рядок назва ситуация случай пример способ
ошибка вопрос вариант человек часть разница значение работа время место конец начало шаг помощь
ответ сообщение строка название
""")

# Common English verbs that hardly ever name anything; all their forms count.
_VERBS: Final = _words("""
add allow answer apply appear ask attach attempt avoid be become begin believe belong bring buy
carry catch choose come complain complete confirm connect consider contain continue convert copy
create decide decrease define delete depend describe determine die disable discuss do download eat
edit enable encounter ensure exist expect explain fail feel figure fill find finish follow forget
fulfil gain generate get give go grow guess handle happen hate have hear heard help hide hit hope
imagine implement improve include increase indicate insert install integrate introduce keep know
lead learn leave let lie like listen live look lose make manage mean mention migrate miss need
notice obtain occur omit open order pay perform pick play point prefer prepare prevent produce
proceed promise propose prove provide publish put read realise realize receive recommend reduce
refer refuse remain remember remove rename render repeat replace reply require resolve respond
restart retrieve reuse revert save say see seem sell send serve set settle show shut sit slip solve
sort sound speak specify spend spin start stay stick stop submit succeed suggest suppose take talk
teach tell tend test think throw treat trigger try turn understand use verify wait walk want wish
wonder work worry write rotate differ enjoy hang crash freeze accept reject assume assess implies
imply relate rely retry switch thank load pull push check run wrap fix break build drop move pass
return support call cause change update cover expire arrive apologize overlap exit force fetch fire
forward fork behave blame bother care cite claim clear click close compare concern count crop cross
cut deal deny deserve detect disagree disappear dislike drive emit exclude expose extend fall fight
fit focus grab guarantee ignore inform inspect invite join judge jump kick kill lack last launch lay
limit list lock log match matter merge note offer own paste permit pipe poke post predict pretend
print protect question raise reach react recreate register remind report request reset resemble
revoke rule search sign skip sleep smell split spoil store suck suffer supply suspect trust type
unlock upgrade upload vote warn watch welcome encode decode deploy ship release schedule review
commit track map cache block output end bump import export roll scale spawn overwhelm yield shows
""")
VERBS: Final = frozenset(form for verb in _VERBS for form in _forms(verb)) | IRREGULAR
