"""Money as decimals with the currency's number of decimals (ISO 4217), rounded half-up; never a float."""

from decimal import ROUND_HALF_UP, Context, Decimal

# The active currencies of ISO 4217 by the number of decimals of their minor unit.
_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
        COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
        INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
        MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS = {code: digits for digits, codes in _BY_DIGITS.items() for code in codes.split()}
_MINOR_UNIT = {code: Decimal(1).scaleb(-digits) for code, digits in MINOR_DIGITS.items()}
# Asked directly, a context rounds in half the time of `Decimal.quantize`, which looks up the current one.
_HALF_UP = Context(rounding=ROUND_HALF_UP)


def minor_digits(currency: str) -> int:
    """The currency's number of decimals. Raises `ValueError` for a code that is not an active ISO 4217 currency."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise _unknown(currency) from None


def _unknown(currency: str) -> ValueError:
    return ValueError(f"{currency!r} is not an ISO 4217 currency")


def fits(amount: Decimal, currency: str) -> bool:
    """Whether the amount needs no more decimals than the currency has (12.50 and 12.5 both fit EUR)."""
    return amount == quantize(amount, currency)


def quantize(amount: Decimal, currency: str) -> Decimal:
    """Round half-up to exactly the currency's number of decimals. Raises `ValueError` for an unknown currency."""
    unit = _MINOR_UNIT.get(currency)
    if unit is None:
        raise _unknown(currency)
    return _HALF_UP.quantize(amount, unit)


def format_amount(amount: Decimal, currency: str) -> str:
    """`1,234.50`: grouped, with all of the currency's decimals. Raises `ValueError` for an unknown currency."""
    return f"{quantize(amount, currency):,f}"
