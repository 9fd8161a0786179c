"""The words of action pages, in English and Arabic."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "acknowledge": "Acknowledge", "escalate": "Escalate", "retry_task": "Retry the task",
    "discard_task": "Discard the task", "poll_nphies": "Ask NPHIES again",
    "about_acknowledge": "You acknowledge this notification. It will not be escalated.",
    "about_escalate": "The next team in line gets a notification at once. You no longer need to acknowledge this one.",
    "about_retry_task": "The claims workers are asked to run this task again.",
    "about_discard_task": "The claims workers are asked to give this task up. It will not run again.",
    "about_poll_nphies": "The claims workers are asked to poll NPHIES for this claim.",
    "who": "Your name", "who_hint": "Kept with this notification, so that others know whom to ask.",
    "signed_in": "Signed in as", "note": "Note", "optional": "optional",
    "note_hint": "Do not write names or numbers of patients.",
    "error": "Error", "problem": "There is a problem", "need_who": "Enter your name",
    "details": "Details", "event_type": "Event", "priority": "Priority", "channel": "Channel",
    "correlation_id": "Correlation id", "sent_at": "Sent", "notification": "Notification",
    "no_facts": "Details cannot be shown at the moment; they are on the card. You can still act.",
    "by": "By", "at": "At", "action": "Action",
    "done": "Recorded", "done_acknowledge": "You have acknowledged this notification.",
    "done_escalate": "The next team in line gets a notification.",
    "done_retry_task": "Your request to retry the task is with the claims workers.",
    "done_discard_task": "Your request to discard the task is with the claims workers.",
    "done_poll_nphies": "Your request to ask NPHIES again is with the claims workers.",
    "close": "You can close this page.",
    "acknowledged": "Already acknowledged", "another_was_first": "Another person was first. Nothing was changed.",
    "acknowledged_shown": "Another person has acknowledged this notification. There is nothing left to do.",
    "in": "In channel",
    "escalated": "Already escalated", "escalated_shown": "To acknowledge it, open Acknowledge on the card.",
    "escalated_to": "Escalated by {who} to {to}. Nobody has acknowledged it yet.",
    "escalated_on": "Escalated by {who}. Nobody has acknowledged it yet.",
    "not_now": "Not possible right now",
    "not_now_text": "The details of this notification cannot be read yet. Nothing was changed. Open the link again in a minute.",
    "away": "Not possible right now",
    "away_text": "The service cannot record anything at the moment. Nothing was changed. Try again in a minute; the link keeps working.",
    "expired": "This link has expired",
    "expired_text": "Nothing was changed. Act from a newer card in Teams, or in the claims application.",
    "invalid": "This link does not work",
    "invalid_text": "It may have been cut off when it was copied. Nothing was changed. Open it again from the card in Teams.",
    "foreign": "This form was sent from another site",
    "foreign_text": "Nothing was changed. Open the link from the card in Teams and act there.",
    "many": "Too many tries", "many_text": "Nothing was changed. Wait a minute and try again.",
    "large": "The form was too large or too slow",
    "large_text": "Nothing was changed. Open the link again and write a shorter note.",
    "failed": "Something went wrong", "failed_text": "It may or may not have been recorded. Open the link again to see.",
    "missing": "Page not found", "missing_text": "Open the link from the card in Teams.",
    "CRITICAL": "Critical", "HIGH": "High", "MEDIUM": "Medium", "LOW": "Low", "INFO": "For information",
}  # fmt: skip

ARABIC: Mapping[str, str] = {
    "acknowledge": "إقرار بالاستلام", "escalate": "تصعيد", "retry_task": "إعادة تشغيل المهمة",
    "discard_task": "إلغاء المهمة", "poll_nphies": "الاستعلام من نفيس مجددًا",
    "about_acknowledge": "تُقرّ باستلام هذا الإشعار، ولن يُصعَّد.",
    "about_escalate": "يُبلَّغ الفريق التالي فورًا، ولا يلزمك الإقرار بالاستلام بعد ذلك.",
    "about_retry_task": "يُطلب من خدمة المطالبات تشغيل هذه المهمة مرة أخرى.",
    "about_discard_task": "يُطلب من خدمة المطالبات التخلي عن هذه المهمة، ولن تُشغَّل مرة أخرى.",
    "about_poll_nphies": "يُطلب من خدمة المطالبات الاستعلام من نفيس عن هذه المطالبة.",
    "who": "اسمك", "who_hint": "يُحفظ مع هذا الإشعار ليعرف الآخرون من يسألون.",
    "signed_in": "تم تسجيل الدخول باسم", "note": "ملاحظة", "optional": "اختياري",
    "note_hint": "يُرجى عدم كتابة أسماء المرضى أو أرقامهم.",
    "error": "خطأ", "problem": "هناك مشكلة", "need_who": "أدخل اسمك",
    "details": "التفاصيل", "event_type": "الحدث", "priority": "الأولوية", "channel": "القناة",
    "correlation_id": "رقم الارتباط", "sent_at": "وقت الإرسال", "notification": "رقم الإشعار",
    "no_facts": "لا يمكن عرض التفاصيل حاليًا، وهي موجودة في البطاقة. يمكنك المتابعة رغم ذلك.",
    "by": "بواسطة", "at": "في", "action": "الإجراء",
    "done": "تم التسجيل", "done_acknowledge": "لقد أقررت باستلام هذا الإشعار.",
    "done_escalate": "يجري إبلاغ الفريق التالي.",
    "done_retry_task": "وصل طلب إعادة تشغيل المهمة إلى خدمة المطالبات.",
    "done_discard_task": "وصل طلب إلغاء المهمة إلى خدمة المطالبات.",
    "done_poll_nphies": "وصل طلب الاستعلام من نفيس إلى خدمة المطالبات.",
    "close": "يمكنك إغلاق هذه الصفحة.",
    "acknowledged": "سبق الإقرار باستلامه", "another_was_first": "سبقك شخص آخر، ولم يتغير شيء الآن.",
    "acknowledged_shown": "أقرّ شخص آخر باستلام هذا الإشعار، ولم يبق ما يلزم عمله.",
    "in": "في القناة",
    "escalated": "سبق تصعيده", "escalated_shown": "للإقرار باستلامه افتح «إقرار بالاستلام» من البطاقة.",
    "escalated_to": "صعّده {who} إلى {to}، ولم يُقرّ أحد باستلامه بعد.",
    "escalated_on": "صعّده {who}، ولم يُقرّ أحد باستلامه بعد.",
    "not_now": "غير ممكن حاليًا",
    "not_now_text": "لا يمكن قراءة تفاصيل هذا الإشعار بعد. لم يتغير شيء. افتح الرابط مجددًا بعد دقيقة.",
    "away": "غير ممكن حاليًا",
    "away_text": "لا تستطيع الخدمة تسجيل أي شيء في هذه اللحظة. لم يتغير شيء. حاول بعد دقيقة، فالرابط يبقى صالحًا.",
    "expired": "انتهت صلاحية هذا الرابط",
    "expired_text": "لم يتغير شيء. استخدم بطاقة أحدث في تيمز أو تطبيق المطالبات.",
    "invalid": "هذا الرابط لا يعمل",
    "invalid_text": "ربما نُسخ ناقصًا. لم يتغير شيء. افتحه مجددًا من البطاقة في تيمز.",
    "foreign": "أُرسل هذا النموذج من موقع آخر",
    "foreign_text": "لم يتغير شيء. افتح الرابط من البطاقة في تيمز وتابع من هناك.",
    "many": "محاولات كثيرة", "many_text": "لم يتغير شيء. انتظر دقيقة ثم حاول مجددًا.",
    "large": "النموذج كبير جدًا أو بطيء جدًا",
    "large_text": "لم يتغير شيء. افتح الرابط مجددًا واكتب ملاحظة أقصر.",
    "failed": "حدث خطأ ما", "failed_text": "قد يكون الإجراء سُجِّل وقد لا يكون. افتح الرابط مجددًا لتتأكد.",
    "missing": "لا توجد صفحة كهذه", "missing_text": "افتح الرابط من البطاقة في تيمز.",
    "CRITICAL": "حرجة", "HIGH": "عالية", "MEDIUM": "متوسطة", "LOW": "منخفضة", "INFO": "للعلم",
}  # fmt: skip


def words_of(lang: str) -> Mapping[str, str]:
    """Return the words of a language; English for an unknown one."""
    return ARABIC if lang == "ar" else ENGLISH


def preferred_language(accept_language: str) -> str:
    """Return `ar` or `en`, the first of them in an Accept-Language header."""
    for part in accept_language[:500].lower().split(","):
        lang = part.split(";")[0].strip().split("-")[0]
        if lang in ("ar", "en"):
            return lang
    return "en"
