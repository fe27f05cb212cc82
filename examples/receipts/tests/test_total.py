import unittest
from decimal import Decimal

from receipts.total import total


class Total(unittest.TestCase):
    def test_lines_are_added_up(self):
        self.assertEqual(total([(Decimal(2), Decimal("1.50")), (Decimal(1), Decimal("0.25"))]), Decimal("3.25"))

    def test_a_discount_is_taken_off(self):
        self.assertEqual(total([(Decimal(1), Decimal("10.00"))], Decimal("0.1")), Decimal("9.00"))


if __name__ == "__main__":
    unittest.main()
