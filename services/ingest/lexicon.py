"""Cue words of chat in English, Ukrainian and Russian, by what they say about a message.

A word is known by its first six letters, so that an entry covers longer inflections; shorter forms
stand for themselves. No word here names a product, a technology or a trade: those are told by being
in no class, and EVERYDAY holds what else people say to each other.
"""

STEM_LETTERS = 6

FUNCTION = """
a an the this that these those it its he she they them his her their we our us you your me my mine i
im ive is are was were be been being am do does did doing done have has had having will would can
could shall might may and or but nor so then than as at by for from in into of off on onto out over
to under up with without about after before between during through while if else because there here
very just also too only even still again already ever some any all both each more most much many
other another such same own few lot lots bit not no dont doesnt isnt wasnt cant wont s t re ve ll d
m don doesn isn wasn aren didn couldn wouldn won hasn haven what which who whom whose when where why
how get gets got go goes going gone come came make makes made take took see saw seen say says said
know knows knew one two thing things stuff way now well back like want wants really quite
і й та а але або чи що це цей ця ці той та те ті він вона воно вони ми ви ти я мене мені мій моя моє
мої твій твоя ваш наш нас нам вам вас їх їм його її йому їй їхній себе собі свій свою своє є був
була було були буде будуть бути на в у з із зі до від для про при по за під над між через після без
біля як якщо коли де хто чому який яка яке які не ні ж же б би то ще вже теж також тільки лише
навіть дуже тут там так тому бо щоб аби хоч поки потім зараз тепер все всі весь вся усе усі кожен
інший інша інше один одна одне два може треба можна просто взагалі и а но или ли что это этот эта
эти тот та те он она оно они мы вы ты я меня мне мой моя моё мои твой ваш наш нас нам вам вас их им
его её ему ей себя себе свой свою есть был была было были будет будут быть на в во у с со из к ко от
для про о об при по за под над между через после без как если когда где кто почему какой какая какое
какие не ни же бы ещё еще уже тоже также только даже очень тут там так потому чтобы хотя пока потом
сейчас теперь все всё весь вся каждый другой другая один одна два может надо можно просто вообще
"""

ACKNOWLEDGEMENT = """
ok okay okey k kk yes yeah yea yep yup ya no nope nah sure right true indeed exactly agreed agree
correct clearly cool nice great awesome amazing perfect excellent good fine lovely sweet interesting
gotcha understood roger ack ah aha oh ooh hm hmm hmmm mm mhm uh um umm er ugh eh heh hehe haha
hahaha lol lmao rofl wow whoa woah yay yikes omg wtf welp whew phew oops alas bingo ditto bravo np
anyway anyways damn weird funny confusing
так ок окей ага угу ні точно згоден згодна добре гаразд супер клас круто чудово класно файно ясно
зрозуміло зрозумів зрозуміла прийнято ого ой ех хм хаха ахах лол ура нічого норм нормально плюс
підтримую молодець красунчик приколь смішно да нет ок окей ага угу точно согласен согласна хорошо
ладно супер класс круто отлично классно ясно понятно понял поняла принято ого ой эх хм хаха ахах лол
ура ничего норм нормально плюс поддерживаю молодец прикольно смешно
"""

COURTESY = """
hi hello hey hiya howdy morning afternoon evening night bye goodbye cya welcome thanks thank thx ty
tnx cheers sorry apologies please pls plz congrats congratulations appreciate appreciated guys folks
everyone everybody weekend lunch coffee pizza birthday holiday
привіт вітаю вітання доброго добрий добраніч ранку вечора дня бувай бувайте дякую дяки дякуємо
спасибі вибач вибачте вибачаюсь перепрошую пробач прошу ласка вітаємо друзі колеги хлопці народ
вихідні вихідних обід обіду кава каву свято привет здравствуйте доброе добрый утро вечер спокойной
пока спасибо спс благодарю извини извините прости пожалуйста поздравляю друзья коллеги ребята всем
выходные выходных обед кофе праздник
"""

WAITING = """
wait waiting moment sec secs minute minutes min brb afk soon looking checking hold hang
lemme let tomorrow today tonight yesterday ready busy
зачекай зачекайте чекай чекаю секунду секундочку хвилину хвилинку хвилин гляну глянь дивлюсь дивлюся
подивлюсь подивлюся перевірю перевіряю пізніше скоро завтра сьогодні ввечері відійду повернусь
готово подожди подождите жди жду секунду секундочку минуту минутку минут гляну глянь смотрю посмотрю
проверю проверяю позже скоро завтра сегодня вечером отойду вернусь готово
"""

OPINION = """
think thought guess suppose hope hopefully wish feel feels believe maybe perhaps probably seems seem
sounds looks opinion imo imho afaik afaict iirc mean personally honestly love hate hates sucks
annoying awful ugly pretty fun
думаю гадаю вважаю здається мабуть можливо певно напевно сподіваюсь сподіваюся хотілося відчуваю
схоже люблю ненавиджу жахливо шкода думаю считаю кажется наверное возможно видимо надеюсь хотелось
чувствую похоже люблю ненавижу ужасно жаль
"""

PROBLEM = """
error errors fail fails failed failing failure crash crashes crashed crashing broken breaks broke
bug bugs buggy issue issues problem problems wrong incorrect incorrectly exception exceptions
timeout timeouts missing cannot unable undefined stuck hangs hanging freezes slow slowly leak leaks
denied refused rejected invalid unexpected unexpectedly corrupt corrupted traceback segfault panic
warning warnings deprecated unsupported fault faulty conflict duplicate duplicates lost unusable
blocked blocker blocks blocking risk risky vulnerable outage regression down expired expires
complain
помилка помилки помилку помилкою проблема проблеми проблему баг баги багу падає падають впав впала
впало ламається зламав зламався зламалось зламано зависає завис зависло повільно повільний гальмує
збій збої відмова відмовл невірно неправильно некоректно неможливо заблоковано блокує ризик ризики
ризику втрачено втрата зникає зникло зник дублюється дублікат вийшов прострочено протермін виняток
тайм-аут таймаут ошибка ошибки ошибку ошибкой проблема проблемы проблему баг баги падает падают упал
упала упало ломается сломал сломался сломалось сломано зависает завис зависло медленно тормозит сбой
сбои отказ неверно неправильно некорректно невозможно заблокировано блокирует риск риски потеряно
потеря исчезает исчез дублируется дубликат исключение таймаут просрочен истекает
скаржиться скаржаться скарга скарги скаргу жалуется жалуются жалоба жалобы
"""

REMEDY = """
use uses using used try tried tries set sets setting add adds added adding change changes changed
changing should must need needs needed require requires required instead fix fixes fixed fixing
solve solves solved solution workaround recommend recommended suggest suggested suggestion install
installed configure configured configuration enable enabled disable disabled remove removed replace
replaced restart restarted run runs running create creates created update updated upgrade upgraded
return returns pass passes call calls means mean allow allows allowed support supports supported
possible otherwise therefore due cause causes caused reason works worked depends default means
ensure avoid prevent
використай використовуй використати використовувати використання спробуй спробуйте спробувати додай
додати додав додала додано зміни змінити змінив змінено потрібно слід варто необхідно повинен
повинна повинні замість виправити виправив виправлено виправляю вирішити вирішив вирішено розв'язати
рішення встанови встановити налаштуй налаштувати налаштування увімкни увімкнути ввімкнути вимкни
вимкнути видали видалити прибери прибрати заміни замінити перезапусти перезапустити запусти
запустити запускаємо створи створити створено онови оновити оновлено оновлення через причина причини
внаслідок дозволяє підтримує працює інакше отже тобто пропоную рекомендую используй использовать
использование попробуй попробуйте попробовать добавь добавить добавил добавлено измени изменить
изменил нужно следует стоит необходимо должен должна должны вместо исправить исправил исправлено
решить решил решено решение установи установить настрой настроить настройка включи включить выключи
выключить отключить удали удалить убери убрать замени заменить перезапусти перезапустить запусти
запустить создай создать создано обнови обновить обновлено причина причины позволяет поддерживает
работает иначе значит предлагаю рекомендую
"""

DECISION = """
decide decides decided decision decisions agreed agreement approve approved plan plans planned
release released releasing deadline deadlines deploy deployed deployment launch launched requirement
requirements priority proposal propose proposed vote voted action assigned responsible migrate
migration adopted scheduled schedule postponed
вирішили вирішуємо ухвалили домовилися домовились домовленість затвердили затверджено погодили
погоджено план плану плани плануємо реліз релізу релізимо дедлайн термін терміни викотили викочуємо
деплой деплою вимога вимоги вимогу пріоритет пропозиція пропозицію відповідальний переносимо
перенесли відкладаємо міграція міграцію решили решаем приняли договорились договорились
договоренность утвердили утверждено согласовали согласовано план плана планы планируем релиз релиза
дедлайн срок сроки выкатили выкатываем деплой деплоя требование требования требованию приоритет
предложение ответственный переносим перенесли откладываем миграция миграцию
"""

LAUGHTER = """
lol lmao rofl haha hahaha hehe hehehe xd omg ахах ахаха хаха хахаха лол ржу
"""

TALK = """
help question questions ask asked asking answer answers channel chat talk talking discuss discussed
meeting topic next message messages paste pastebin gist link links send sent show shown read hear
ping pm post posted reply typing typo spell idea doc docs screen
допоможіть допомога допоможе питання запитання спитаю відповідь канал чат зустріч мітинг дзвінок
созвон тема далі повідомлення покажи скинь надішли напиши помощь помогите вопрос вопросы ответ
встреча дальше сообщение пришли
"""

INSTRUCTION = """
use try check set run add install look put make change remove enable disable restart create replace
pass call open edit type click select write start stop keep avoid add follow using
спробуй спробуйте перевір перевірте використай використайте додай додайте встанови запусти
перезапусти видали зміни зроби постав відкрий створи заміни онови дивись попробуй попробуйте проверь
проверьте используй добавь установи запусти перезапусти удали измени сделай поставь открой создай
замени обнови смотри
"""

OPEN_QUESTION = """
how why what which where when anyone anybody any someone somebody possible
як чому що який яка яке які де коли чи хтось навіщо скільки можна как почему что какой какая какое
какие где когда ли кто зачем сколько можно
"""

YOU = """
you your yours u ya ти ви тобі вам тебе вас твій ваш твоя ваша ты вы твой
"""

SELF = """
i im ive we our my me us
я ми мій моя мене мені нас нам наш наша
мы мой меня мне
"""

MODAL = """
can could should need will would may might have want must get don ll d
можна можеш можете треба потрібно слід варто раджу можно можешь нужно стоит следует советую надо
"""

ADVICE = """
should must try use
можна можеш можете треба потрібно слід варто раджу спробуй спробуйте пропоную
можно можешь можете нужно надо стоит следует советую попробуй
"""

EVERYDAY = """
able absolutely actual afraid ago ahead ahem almost alone along alot alright although always amount
anymore anything anywhere apart apparently april around asap aside asleep assume attention august
away awhile baby bad bah basically bbiab bbl bcoz beautiful become bed beer begin beginning behind
best better big bigger biggest bits black blame bloody body boo book books boring bother bought bout
boy brain bread break bring bro brother brought btw buddy bunch called car care careful carry cat
catch caught certain chance cheap checked child children choice choose city class clean clear clever
close closed clue cold color colour comes coming comments common community company completely
consider cook corner cos cost count country couple course crap crazy cry curious cut cuz dad daily
dark dat date daughter day days dead deal dear death december decent deep definitely didnt die
different difficult dinner dirty doctor dog doh door doubt dozen dream drink drive drop dude duh
dumb dunno earlier early easier easily easy eat effort ehm either em enjoy enough entire especially
etc eventually everything evil exact example excited excuse expect expensive experience explain
extra extremely eye eyes face fact fair fairly fall family famous fan far fast faster father favor
favorite fear february feeling feet fell felt fight figure finally find finding finish fire fit five
floor flowers fly food fool foot forever forget forgot forward found four free fresh friday friend
front full future fyi game games gave gee general getting gimme girl give given gives giving glad
glass god gonna gotta green ground group grow gtg guy hair half hand hands handy happen happy hard
hardly hat head health heard heart heat heavy held helped helpful helping helps hence herself hes
hidden high higher him himself hit hmmmm hole holy home horrible hot hour hours house however hows
huge human hundred hungry hurray hurt husband idiot idk ignore imagine important impossible
impression inside instance involved irc january jk job join joined joke july jump june keeps kept
kid kidding kids kill kind kinda kinds kitchen knowing knowledge lady land large last late lately
later laugh law lazy lead learn learned learning least leave leaving left leg less lets letter level
life light likely line listen little live lives living local long longer looked loose lose loss loud
lower luck lucky mad magic main mainly major male man manage march mate matter meant meanwhile meat
meh men mentioned mess met middle million mind miss mistake monday money month months mood moon
mostly mother mouth move moved movie mum music myself names nasty near nearly neat necessary neck
neither nervous never newbie news nicely nobody noise none noob normal north nose note noted nothing
notice november nowhere number nvm obvious october odd offer office offtopic often old older ones
ooo opportunity option order ordinary original others ought ours outside outta paid pain paper part
particular parts party past pay paying peace people pff phone phrase pick picked picture piece place
places play played player playing plenty plus poor popular position pot practice prefer prepared
present previous private proper proud psst pull pure purpose push putting quick quickly quiet quit
quote radio rain random rare rather reading real realise reality realize recently red regard regular
relax remember remind rest rich rid ride ring river road rock room rough round rtfm rule rules rush
sad safe sat saturday saved saying school sea search season seat second seeing self sense separate
september seriously seven several sex shame shape share sheesh shes shh shit shoes shop short shot
shut sick side sign silly simple simply since single sir sister sit six size skip sky sleep slept
slight small smart smell smile smoke snow somebody somehow something sometimes somewhat son song
sort sorta sorted sound speak speaking special specific spend spent spoke sport stand star started
starting starts stay step sticking stone stood stopped story straight strange street strong student
stupid style success suddenly summer sun sunday super surely surprise swear tad taken takes taking
talked talks tall taste tbh tea teach team tell telling ten terrible thankful thats themselves
theory theres theyre thinking third tho thousand three throw thrown thru thursday thus til till time
times tiny tired together told ton tons top total totally touch tough toward town trade train travel
treat tree tricky trip trouble trust truth trying ttyl tuesday turn turned turns twelve twenty twice
uhh unfortunately unless unlike until upon upset useful useless usual usually vacation value various
video visit voice waited walk wall wanna war warm watch watched watching water ways wb weather
wedding wednesday week weeks went west whatever whats whenever whereas wherever whether white
whoever whole wide wife wild willing win wind wine winter wise within woke woman women wonder word
words wore work worker working world worry worse worst worth worthy wrote year years yeh young youre
yourself yum zero zzz
абсолютно адже аж ай баба бабушка багато багатьох бажання бажаю батько бачив бачила бачити бачиш
бачу бегать беда безумовно белый близько более больно большая больше большие большой боюсь боюся
брав брат брати брать будинок будто будь будьте бывает бывший быстрее быстро бігти біда білий біль
більше більшість вагомо важко важливо важно важный вважай вгору вдається вдруг ведь везде везёт век
велика велике великий велику верить верно вернулся верх верю весело весна взяв взял взяти взять вид
видел видела видеть видишь видно вижу вийде вийшло випадку випадок випити виходить вихід включно
вкусно влітку вместе вміти вмію вміє вниз внимание вночі вода водій возле возьми война вокруг
волосся вопреки вот впечатление враження вранці враховуючи времени время всегда вспомнил встиг
встигну всього всюди втома втомився вторник второй втім вулиця вчера вчитель вчити вчора вчорашній
выглядит выходит вышел вівторок вір вірити вірно вітер газета гарна гарне гарний гарно глаз глаза
говори говорю год года годин година годину годиться годы голова голову голос голосно гора гораздо
город господи гость гості готов готова готовий гра грати грошей гроші груба група гріх дав давай
давно дай дал дала далеко дали дам дах двері двох дві дев девушка дед дела делаем делает делал
делать делаю дело день дерево десь десять детей дети дивний дивно дико дитина длинный дней дни дні
днів довгий довго довелося доводиться додому дождь докладно долго должно дом дома домой допоки
дорога дорогий дорого достатньо дощ драма друг друга другие другий дружба дружина думав думает
думаешь думал думать думаєш думка думку дурак дурний дурня душа дядько дядя дякувати дійсно дім
дітей діти единственный еду ел ерунда ехать жарт жартую жах ждал жена женщина живе живий живёт жизнь
жити життя жить жінка забавно забув забула забути забыл забыла забыть завжди загалом заздалегідь
займатися закінчив зал залишити запах зате зачем звичайно звони звонил звідки звісно згодом здесь
здорово зима знав знаем знает знаете знаешь знайти знайшла знайшов знакомый знал знала знаю знає
знаємо знаєте знаєш знову зранку зробив зробила зробимо зробити зроблю зробіть зупинився идеально
иди идти иду идёт имеет иметь имею иногда интересно искал искать ищу йде йду йти каждую каже кажу
кажуть казав казала казалось казати картина качество квартира кино книга кожний колега колись
количество комусь конец конечно користь короче кошка край крайне краса красиво краткий краще кращий
країна кроме кругом крім кстати куда куди кудись купа купив купил купити купить кухня куча кілька
кількість кінець кіно легкий легко лес лето лист лицо лишень лишь лучшая лучше лучший любит любити
любить любов любовь людей люди людина лёгкий ліс літо мав майбутнє майже мала маленький мало мама
мати машина маю мають має маємо маєш менше меньше месте место месяц мимо минулий минулого мир мить
миша многие много мова мовчу мог могла могли могу можем можемо можу молодий молодой море москва мрія
муж мужик музика музыка мушу мысль міг місто місце місяць набагато навкруги навпаки навряд надалі
назад называется найкраще найти намагаюсь написав направду напротив нарешті насправді настрій
наступний настільки насчёт начал начало начать наши нашла нашёл неважно невже недавно недели неделю
неделя недобре неділя нельзя нема немає немного неплохо несколько нету неужели нехай нещодавно нижче
никак никогда никто ничто нова новая нове новий новина новое новость новые новый нові нога ноги ночь
нравится ніби ніде ніколи ніхто ніч обидва обидно обличчя обов обычно обязательно одинаково одразу
одяг окно око около опа опять оскільки особенно осталось остался остальные останній отак отдельно
отдых отец откуда ото офіс очевидно очі ощущение пам памятник пан пані пара парень певен первая
первое первый переважно перед перша перше перший песня писал писати писать питав пить пише пишет
пишу плакати плохо плохой поганий погано погляд погода подзвони подобається подумал подія поздно
пойду пойдёт пойти показав полно полностью половина получается получил полягає помнишь помню
понедельник понеділок понимаю понятия пора порада поруч порядок поскольку последний посміх почти
поэтому поясни поїхав поїхали правда правильно право працював працюю приблизно придёт приехал прийде
прийду прийти прийшла прийшов примерно природно приходь причому причём пришла пришёл приятно приємно
продовжуй против прошлого прошлый прям прямо путь пытаюсь пятница пять пісня работу равно рад ради
раз разговор различный разные разный разом рано ранок раньше раніше ребёнок результат решать робив
робимо робити робить робиш роблю робота роботу розказати розмова розповів розумію роки року років
рука руки рядом рівень різний різні рік сам сама самая саме сами самого самое самый самі сапоги свет
свободно своих своїх сделаем сделал сделать сделаю семья сердце середа серйозно серьезно серьёзно
сидеть сиджу сидіти сижу сильно син скажи скажите скажу скажіть сказав сказала сказати скорее
скоріше скучно слава слишком слова слово слухай слухати слушай слушаю слышал смачно смерть смысл
сміх сначала снег снова сніг собака собственно совсем сожалению сон сонце спати спать спить
сподобалося спокійно спосіб спочатку справа справді справи спросил сразу среда средний став стал
стала стало стати стать стол стояти стоять страна странно страшно стул стіл стілець стільки суббота
субота судьба сум сумно сути схожий счастье сын такая такие такое такой твоє театр темно тепло
терпение тиждень тижні тип тихо тогда того толк третий третій три трохи трошки трудно туда туди тупо
тяжело тяжко увага увесь увечері увидел увидеть удача удачи удобно удома ужас ужасный узнал узнать
улица умный уровень устал усюди утром уходить ушёл уявити уявляю факт фиг фильм фіг фільм хай хата
хватает хватит хвора хворий хвіст ходил ходить холодно хороший хотел хотела хотим хоть хотів хотіла
хотіли хоче хочемо хочет хочется хочеш хочешь хочу хтозна худий хуже целом целый цель цікаво ціла
ціле цілий цілком час часа часов часом частина частково часто часть часу чекати человек честно
четвер четыре число читав читал читати читать читаю чоловік чомусь чорний чорт чотири чтение чув
чула чути чуть чую шаг шановні швидко швидше шеф школа шлях штука шукав шукати шукаю шутка шучу
шість щасливо щастя щиро щойно щоразу щось эй экран этаж явно якась якби якийсь якобы якось яркий
ясний єдине єдиний іде ідеально іду інколи іноді інтерес їду їхати
"""

CONDITION = """
if because since unless instead otherwise therefore which whereas although so
якщо бо тому оскільки через щоб якби замість інакше если потому поскольку чтобы вместо иначе поэтому
"""
