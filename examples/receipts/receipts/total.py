"""What a receipt comes to."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
Line = tuple[Decimal, Decimal]


def total(lines: Iterable[Line], discount: Decimal = Decimal(0)) -> Decimal:
    """The sum of lines of (amount, price), less the discount (a share of 1), rounded to cents."""
    whole = Decimal(0)
    for amount, price in lines:
        whole += (amount * price * (1 - discount)).quantize(CENT, ROUND_HALF_UP)
    return whole
