"""Programs that write into chats: known by their names, and what their lines say happened; pure.

A word here tells who wrote a line or what became of something there; in what people write it counts as any other does.
"""

import re
from typing import Final

# One of these in a name is enough.
_TELLING: Final = frozenset(
    """
    bot chatbot webhook webhooks notifier notifications notification alerts alerting alertmanager monitoring
    бот чатбот вебхук сповіщення сповіщувач оповіщення алерти моніторинг нагадування нагадувач уведомления
    оповещения алерты мониторинг напоминания
    """.split()
)
# A name that begins with one is an application's.
_APPLICATIONS: Final = frozenset(
    """
    github gitlab bitbucket gitea gerrit codeberg jira confluence bugzilla redmine youtrack phabricator trello asana
    clickup notion linear airtable basecamp sentry rollbar bugsnag crashlytics firebase grafana prometheus zabbix
    nagios icinga datadog dynatrace pagerduty opsgenie statuspage uptimerobot pingdom betterstack healthchecks kibana
    graylog splunk elastalert cloudwatch jenkins teamcity circleci travisci buildkite bitrise appveyor codemagic argocd
    fluxcd spinnaker sonarqube sonarcloud codecov coveralls snyk dependabot renovate netlify vercel heroku zapier ifttt
    mailchimp hubspot zendesk intercom freshdesk salesforce calendly typeform
    """.split()
)
# A name of these two, one after the other, as well.
_VENDORS: Final = frozenset(
    "google microsoft azure aws amazon apple travis circle argo new".split()
)
_PRODUCTS: Final = frozenset(
    "calendar drive forms docs sheets meet analytics teams planner devops pipelines sns ci cd relic".split()
)
# A name of nothing but these, and where that is, is that of something which runs by itself.
_ROLES: Final = frozenset(
    """
    ci cd cicd build builds runner deploy deploys deployment deployments pipeline pipelines release releases alert
    monitor notify calendar reminder reminders feed rss cron automation integration integrations logs status incidents
    uptime backup backups збірка збірки деплой деплої календар статус статуси інциденти автоматика сборка сборки деплои
    календарь инциденты статусы
    """.split()
)
_PLACES: Final = frozenset(
    """
    app system service server cluster prod production staging stage dev test tests система сервіс прод стейдж сервис
    """.split()
)
_CAMEL: Final = re.compile("(?<=[a-zа-яіїєґ])(?=[A-ZА-ЯІЇЄҐ])")
_WORD: Final = re.compile(r"[^\W\d_]+")

_NONE: Final = re.compile(r"\b(?:0|no|zero|without|без)\s+(?:failed\s+)?\w+", re.IGNORECASE)
_FAILURE: Final = re.compile(
    r"\b(?:firing|fired|down|fail(?:ed|ure|ing|s)?|fatal|critical|crash(?:ed|es)?|degraded|outage|incident|alert|"
    r"problem|errors?|exception|bug|issue|urgent|unhealthy|unreachable|unavailable|offline|exceeded|exhausted|"
    r"впав|впала|впало|впали|збій|аварія|інцидент|тривога|перевищено|недоступний|недоступна|недоступно|помилка|"
    r"упал|упала|упало|упали|сбой|авария|инцидент|тревога|превышен|превышена|превышено|недоступен|ошибка)\b"
    r"|\w(?:Error|Exception)\b|\(NEW\)",
    re.IGNORECASE,
)
_CHANGE: Final = re.compile(
    r"\b(?:mod|modified|changed|comment(?:s|ed)?|patchset|pushed|commit(?:s|ted)?|merged?|review(?:ed)?|pull|approved|"
    r"assigned|moved|updated|edited|closed|acknowledged|received|reminder|"
    r"оновлено|закрито|змінено|коментар|обновлено|закрыто|изменено|комментарий)\b",
    re.IGNORECASE,
)
_RECOVERY: Final = re.compile(
    r"\b(?:resolved|recovered|recovery|operational|back to normal|is up|online|ok|"
    r"вирішено|відновлено|усунено|знову працює|решено|восстановлено|устранено|снова работает)\b",
    re.IGNORECASE,
)
_ROUTINE: Final = re.compile(
    r"\b(?:merged|passed|succeeded|success(?:ful|fully)?|completed|approved|assigned|moved|transitioned|acknowledged|"
    r"reminder|due|joined|subscribed|"
    r"успішно|успішна|пройшла|пройшли|пройдено|завершено|завершилась|завершився|призначено|нагадування|"
    r"успешно|успешна|прошла|прошли|пройдены|завершилась|назначено|напоминание)\b",
    re.IGNORECASE,
)


def is_program(author: str) -> bool:
    """Whether a name is an application's, or says that nobody writes under it."""
    words = [word.lower() for word in _WORD.findall(author)]
    if not words:
        return False
    if not _APPLICATIONS.isdisjoint((words[0], "".join(words[:2]))):
        return True
    if words[0] in _VENDORS and words[1:2] and words[1] in _PRODUCTS:
        return True
    parts = {word.lower() for word in _WORD.findall(_CAMEL.sub(" ", author))} | set(words)
    if not _TELLING.isdisjoint(parts):
        return True
    return not _ROLES.isdisjoint(words) and all(word in _ROLES or word in _PLACES for word in words)


def outcome_of(line: str) -> str:
    """What a program's line says happened, as a feature's name: a failure, the end of one, routine, or nothing."""
    if _RECOVERY.search(line):
        return "recovery"
    if _FAILURE.search(_NONE.sub("", line)) and not _CHANGE.search(line):
        return "failure"
    return "routine" if _ROUTINE.search(line) else ""
