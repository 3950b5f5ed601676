"""Numbers as people and reports write them, and how a report file writes them."""

from __future__ import annotations

import re

NUMERAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
PERCENT = re.compile(r"%|per ?cent|\bpct\b", re.IGNORECASE)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_THOUSANDS = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6}
LONGEST = 60
"""Characters of a text that is read closely; nobody writes a longer number."""
SEVERAL = "to try several, name a grid under experiments"


def plain_signs(text: str) -> str:
    """A text with the signs of a keyboard in the place of those of print."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: "^" + found[0].translate(_SUPERSCRIPTS), text.strip())
    return re.sub("[−–]", "-", re.sub("[×·]", "x", text))


def hint_of_number(given: str, whole: bool = False) -> str:
    """What is wrong with a text in the place of a number, a `whole` one maybe, and what to write."""
    text = plain_signs(given[: LONGEST + 1])
    if len(text) > LONGEST:
        return f"; write it in digits, such as {1 if whole else 0.001}"
    number = NUMERAL.pattern
    if re.fullmatch(number, text):
        return "; leave the quotes out" if text == given.strip() else f"; write {text}"
    if re.fullmatch(r"\d+,\d+", text):
        return f"; write {text.replace(',', '.')}, or {text.replace(',', '')} if the comma parts thousands"
    percent = re.fullmatch(rf"({number}) ?(?:%|per ?cent|pct)", text, re.IGNORECASE)
    if percent:
        return f"; write the share, {float(percent[1]) / 100:g}"
    computed = _computed(text)
    if computed and (not whole or re.fullmatch(r"-?\d+", computed)):
        return f"; write {computed}"
    several = re.fullmatch(rf"({number})(?: ?(?:[,;/]|\.\.|-|to|or|and) ?{number})+", text)
    if several:
        return f"; write one value, such as {several[1]}; {SEVERAL}"
    sides = re.fullmatch(rf"({number}) ?(?:x|by) ?({number})", text, re.IGNORECASE)
    sides = sides or re.fullmatch(rf"\( ?({number}) ?, ?({number}) ?\)", text)
    if sides:
        return (
            f"; write {sides[1]}" if sides[1] == sides[2] else "; write one number, the same for both sides"
        )
    times = re.fullmatch(rf"({number}) ?(k|m|thousand|million)", text, re.IGNORECASE)
    if times:
        return f"; write {float(times[1]) * _THOUSANDS[times[2].lower()]:.0f}"
    if re.fullmatch(r"\d{1,3}([ '’_]\d{3})+", text):
        return f"; write {re.sub('[^0-9]', '', text)}"
    unit = r"(?!e\b)[^\W\d_]+\.?|°|\+"
    alone = re.fullmatch(
        rf"(?:about|around|approx\.?|approximately|circa|~|≈|=|>=?|<=?)? ?({number}) ?({unit})?",
        text,
        re.IGNORECASE,
    )
    if alone and not (whole and not re.fullmatch(r"[-+]?\d+", alone[1])):
        return f"; write {alone[1]}"
    return f"; write it in digits, such as {1 if whole else 0.001}"


def _computed(text: str) -> str:
    """A fraction, a product or a power of numbers as one number; empty for other texts."""
    number = r"\d+(?:\.\d+)?"
    power = re.fullmatch(rf"(?:({number}) ?[x*] ?)?(\d{{1,3}}) ?(?:\^|\*\*) ?\(?([-+]?\d{{1,2}})\)?", text)
    if power and int(power[2]):
        factor, base, exponent = power[1] or "1", int(power[2]), int(power[3])
        value = float(factor) * float(base) ** exponent
        if base == 10 and exponent < 0:
            return f"{factor}e{exponent}"
        return f"{value:.0f}" if value.is_integer() and value < 1e15 else f"{value:.10g}"
    found = re.fullmatch(rf"({number}) ?([/*]) ?({number})", text)
    if found and (found[2] == "*" or float(found[3])):
        one, other = float(found[1]), float(found[3])
        return f"{one * other if found[2] == '*' else one / other:.6g}"
    return ""


_BOUNDS = {
    **dict.fromkeys(("over", "above", "more than", "greater than", "larger than", "higher than", ">"), ">"),
    **dict.fromkeys(("under", "below", "less than", "smaller than", "lower than", "fewer than", "<"), "<"),
    **dict.fromkeys(("at least", "no less than", "not less than", "≥", ">=", "=>", "min."), ">="),
    **dict.fromkeys(("at most", "no more than", "not more than", "up to", "≤", "<=", "=<", "max."), "<="),
}
_ROUGHLY = ("about", "around", "approx.", "approx", "approximately", "roughly", "nearly", "almost", "circa")


def hint_of_printed(given: str, *, computed: bool = True) -> str:
    """How the number of a report is written that is not written as one. computed: an expression measures it,
    which can be multiplied.
    """
    text = plain_signs(given[: LONGEST + 1])
    if len(text) > LONGEST:
        return "; write the number alone, with the digits that the report prints"
    number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?"
    quoted = re.fullmatch(rf"[“”„‘’'\"]({number})[“”’'\"]", text)
    if quoted:
        return f'; write it in straight quotes: "{quoted[1]}"'
    spread = re.fullmatch(rf"({number}) ?(?:±|\+/?-|\() ?({number})\)?", text)
    if spread:
        return f"; write '{spread[1]}', and about: {spread[2]} beside it"
    span = re.fullmatch(r"(\d*\.?\d+) ?(?:-|to|and) ?(\d*\.?\d+)", text.removeprefix("between "))
    if span and float(span[1]) < float(span[2]):
        return f"; write a claim that holds {span[1]} < … < {span[2]}"
    power = re.fullmatch(r"(?:(\d*\.?\d+) ?[x*] ?)?10(?:\^|\*\*)\(?([-+]?\d{1,2})\)?", text)
    if power:
        return f"; write '{power[1] or 1}e{power[2]}'"
    before = "|".join(map(re.escape, sorted((*_BOUNDS, *_ROUGHLY, "~", "≈", "="), key=len, reverse=True)))
    parts = re.fullmatch(
        rf"({before})? ?\$?({number}|\d{{1,3}}(?:[, ]\d{{3}})+|\d+,\d+)\.? ?(\+|%|[^\W\d_][\w ./%-]*)?",
        text,
        re.IGNORECASE,
    )
    if not parts:
        return "; write the number alone, with the digits that the report prints"
    word, digits, unit = (parts[1] or "").lower(), parts[2], (parts[3] or "").strip()
    sign = _BOUNDS.get(word, ">=" if unit == "+" else "")
    sign = f"{sign} " if sign else ""
    told = ", and about: beside it how far off it may be" if word in (*_ROUGHLY, "~", "≈") else ""
    if re.fullmatch(r"\d,\d{3}", digits):
        thousands, point = digits.replace(",", ""), digits.replace(",", ".")
        return f"; write '{sign}{thousands}' if the comma parts thousands, or '{sign}{point}'{told}"
    grouped = re.fullmatch(r"\d+([, ]\d{3})+", digits)
    digits = re.sub("[, ]", "", digits) if grouped else digits.replace(",", ".")
    if PERCENT.search(unit) and not computed:
        return f"; write '{sign}{_hundredth(digits)}', the share{told}"
    if PERCENT.search(unit):
        return f"; write '{sign}{digits}', and 100 * in what is measured{told}"
    if unit.lower() in _THOUSANDS:
        divisor = f"{_THOUSANDS[unit.lower()]:.0e}".replace("+0", "")
        return f"; write '{sign}{digits}', and / {divisor} behind what is measured{told}"
    return f"; write '{sign}{digits}'{told}"


def _hundredth(digits: str) -> str:
    """A percentage as a share, with the digits that are printed: `65.0` → `0.650`."""
    places = len(digits.partition(".")[2]) + 2
    return f"{float(digits) / 100:.{places}f}" if "e" not in digits.lower() else f"{float(digits) / 100:g}"
