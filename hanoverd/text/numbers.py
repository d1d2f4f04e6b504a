"""Numbers as text, as Docker's command line reads them (Go's ``strconv`` and ``math/big``)."""

from __future__ import annotations

import re
from fractions import Fraction

from hanoverd.text.quoting import quoted

#: A whole number in the base of its prefix; a leading 0 alone means octal.  An underscore separates digits.
_INTEGER = re.compile(
    r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?P<octal>0(?:_?[0-7])+)|[1-9](?:_?[0-9])*|0"
)
_DECIMAL_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_DECIMAL_RATIONAL = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?:[eE](?P<exponent>[+-]?[0-9]+))?"
)

#: No option needs more digits; longer numbers would take long to compute.
_MOST_DIGITS, _MOST_EXPONENT = 100, 100


def parse_integer(text: str, *, bits: int = 64, base: int = 0) -> int:
    """Return a whole number of ``bits`` bits with a sign; in ``base`` 0 a prefix such as ``0x`` sets the base.

    ValueError, in Go's words.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    value = _unsigned(unsigned, base)
    if value is None:
        raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    value = -value if text[0] == "-" else value
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    return value


def parse_unsigned(text: str, *, bits: int = 64, base: int = 0) -> int:
    """Return a whole number of ``bits`` bits without a sign; ValueError, in Go's words."""
    value = _unsigned(text, base)
    if value is None:
        raise ValueError(f"strconv.ParseUint: parsing {quoted(text)}: invalid syntax")
    if value >= 2**bits:
        raise ValueError(f"strconv.ParseUint: parsing {quoted(text)}: value out of range")
    return value


def parse_float(text: str) -> float:
    """Return a number; ValueError, in Go's words, also for one that is too large for 64 bits."""
    if _DECIMAL_FLOAT.fullmatch(text):
        value = float(text)
    elif _HEX_FLOAT.fullmatch(text):
        try:
            value = float.fromhex(text)
        except OverflowError:
            value = float("inf")
    else:
        raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: value out of range")
    return value


def parse_billionths(text: str) -> int:
    """Return a decimal number or a fraction, such as ``1.5`` or ``3/2``, in billionths; ValueError, in docker's words."""
    value = _rational(text)
    if value is None:
        raise ValueError(f"failed to parse {text} as a rational number")
    billionths = value * 10**9
    if billionths.denominator != 1:
        raise ValueError("value is too precise")
    if not -(2**63) <= billionths.numerator < 2**63:
        raise ValueError(f"failed to parse {text} as a rational number (it is too large)")
    return billionths.numerator


def _unsigned(text: str, base: int) -> int | None:
    if len(text) > _MOST_DIGITS and text.isascii() and text.isdigit():
        # Out of every range: Python would refuse to convert it.
        return int("9" * _MOST_DIGITS)
    if base:
        return int(text, base) if re.fullmatch("[0-9]+", text) else None
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    return int(text, 8) if found["octal"] else int(text, 0)


def _rational(text: str) -> Fraction | None:
    if len(text) > _MOST_DIGITS:
        return None
    above, slash, below = text.partition("/")
    if slash:
        sign, digits = (-1 if above[:1] == "-" else 1), above.lstrip("+-") if above[:1] in "+-" else above
        numerator, denominator = _unsigned(digits, 0), _unsigned(below, 0)
        return Fraction(sign * numerator, denominator) if numerator is not None and denominator else None
    whole = text[1:] if text[:1] in ("+", "-") else text
    if whole[:2].lower() in ("0x", "0o", "0b"):
        number = _unsigned(whole, 0)
        return None if number is None else Fraction(-number if text[0] == "-" else number)
    found = _DECIMAL_RATIONAL.fullmatch(text)
    if found is None or not (found["whole"] or found["fraction"]):
        return None
    exponent = int(found["exponent"] or 0) if len(found["exponent"] or "") <= len("+100") else _MOST_EXPONENT + 1
    if abs(exponent) > _MOST_EXPONENT:
        return None
    fraction = found["fraction"] or ""
    value = Fraction(int(found["whole"] + fraction or "0"), 10 ** len(fraction)) * Fraction(10) ** exponent
    return -value if found["sign"] == "-" else value
