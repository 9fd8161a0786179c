"""The HTML of action pages, in English and Arabic; every value is escaped."""

from __future__ import annotations

from html import escape

from notifier.store.actions import NotificationFacts

_ENGLISH = {
    "acknowledge": "Acknowledge", "escalate": "Escalate", "retry_task": "Retry the task", "discard_task": "Discard the task",
    "poll_nphies": "Ask NPHIES again", "who": "Your name", "note": "Note (optional)", "need_who": "Please enter your name.",
    "event_type": "Event", "priority": "Priority", "channel": "Channel", "correlation_id": "Correlation id", "sent_at": "Sent",
    "by": "Taken by", "at": "At", "action": "Action",
    "not_yet": "This notification is not recorded yet. Try again in a minute.",
    "expired": "This link has expired. Act from a newer card or in the claims application.",
    "invalid": "This link is not valid. Open it again from the card in Teams.",
    "away": "The service cannot reach its database. Nothing was changed; try again in a minute.",
    "taken": "Somebody has already taken this notification.", "done": "Done. Thank you.",
}  # fmt: skip
_ARABIC = {
    "acknowledge": "تأكيد الاستلام", "escalate": "تصعيد", "retry_task": "إعادة المهمة", "discard_task": "إلغاء المهمة",
    "poll_nphies": "الاستعلام من نفيس مجدداً", "who": "اسمك", "note": "ملاحظة (اختياري)", "need_who": "الرجاء إدخال اسمك.",
    "event_type": "الحدث", "priority": "الأولوية", "channel": "القناة", "correlation_id": "معرّف الارتباط", "sent_at": "وقت الإرسال",
    "by": "تولّاه", "at": "في", "action": "الإجراء",
    "not_yet": "لم يُسجَّل هذا الإشعار بعد. حاول مجدداً بعد دقيقة.",
    "expired": "انتهت صلاحية هذا الرابط.", "invalid": "هذا الرابط غير صالح. افتحه مجدداً من البطاقة.",
    "away": "تعذّر الوصول إلى قاعدة البيانات. لم يتغيّر شيء؛ حاول بعد دقيقة.",
    "taken": "سبق أن تولّى أحدهم هذا الإشعار.", "done": "تم. شكراً لك.",
}  # fmt: skip

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}
label{display:block;margin-top:1rem;font-weight:600}input,textarea{font:inherit;width:100%;box-sizing:border-box;padding:.5rem}
button{font:inherit;margin-top:1rem;padding:.75rem 1.25rem}[role=alert]{font-weight:600}
"""


def action_page(action: str, facts: NotificationFacts, *, fault: str) -> str:
    """Return the page with the facts and the form of one action."""
    words = _words(facts.lang)
    alert = f'<p role="alert">{words["need_who"]}</p>' if fault == "who" else ""
    form = (
        f'{alert}<form method="post"><label for="who">{words["who"]}</label>'
        '<input id="who" name="who" required maxlength="100" autocomplete="name">'
        f'<label for="note">{words["note"]}</label><textarea id="note" name="note" rows="3" maxlength="1000"></textarea>'
        f"<button>{words[action]}</button></form>"
    )
    return _html(words[action], _facts(facts, words) + form, facts.lang)


def message_page(message: str, lang: str, facts: NotificationFacts | None = None) -> str:
    """Return a page that says one thing, with who took the notification when that is known."""
    words = _words(lang)
    return _html(words[message], _facts(facts, words) if facts else "", lang)


def _words(lang: str) -> dict[str, str]:
    return _ARABIC if lang == "ar" else _ENGLISH


def _facts(facts: NotificationFacts, words: dict[str, str]) -> str:
    rows = [
        (words[name], str(getattr(facts, name)))
        for name in ("event_type", "priority", "channel", "correlation_id")
    ]
    rows.append((words["sent_at"], f"{facts.sent_at:%Y-%m-%d %H:%M UTC}"))
    if facts.acknowledged_by and facts.acknowledged_at:
        taken = words.get(facts.action_taken or "", facts.action_taken or "")
        rows += [
            (words["by"], facts.acknowledged_by),
            (words["at"], f"{facts.acknowledged_at:%Y-%m-%d %H:%M UTC}"),
        ]
        rows.append((words["action"], taken))
    items = "".join(
        f"<dt>{term}</dt><dd><bdi>{escape(value)}</bdi></dd>" for term, value in rows
    )
    return f"<dl>{items}</dl>"


def _html(title: str, body: str, lang: str) -> str:
    code, direction = ("ar", "rtl") if lang == "ar" else ("en", "ltr")
    return (
        f'<!doctype html><html lang="{code}" dir="{direction}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    )
