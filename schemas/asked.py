"""The subject that a person or a service asks about, by any of its numbers, and a sentence where there is none.

The sentence never repeats what was typed: it may be the number of a person.
"""

from schemas.errors import InputError
from schemas.persons import screen_text
from schemas.reasons import REASONS
from schemas.subjects import resolve_subject

_KEY_SCHEMES = {"org": "CN-ORG", "reg": "CN-REG"}


def subject_key_asked(subject: str, doing: str) -> str:
    """The key of an organisation.

    Args:
        subject: unified social credit code, organisation code, registration number, `SCHEME:NUMBER`, or a subject key.
        doing: how the sentence begins, e.g. "asking for a statement".

    Raises:
        InputError: it is no organisation of which there can be records.
    """
    text = subject.strip()
    scheme, colon, number = text.partition(":")
    identifier = f"{_KEY_SCHEMES.get(scheme, scheme)}:{number}" if colon else f"?:{text}"
    kind = screen_text(text, is_code=True) or screen_text(text)
    if kind is not None:
        raise InputError(
            f"{doing}: this is a personal number ({kind}); "
            "there are records of registered organisations only, ask with the code of an organisation"
        )
    found = resolve_subject([identifier])
    if found.key is None:
        reason = REASONS[found.reason or "subject_unresolved"]
        raise InputError(
            f"{doing}: {reason.sentence.format(detail=found.detail or 'unspecified')}; ask with a "
            "unified social credit code, an organisation code, a registration number or SCHEME:NUMBER"
        )
    return found.key
