"""`python3 -m receipts FILE`: the total of each category."""

import csv
import sys
from collections import defaultdict
from decimal import Decimal

from receipts.total import Line, total


def main() -> None:
    """Read the file and print a line for each category."""
    lines: dict[str, list[Line]] = defaultdict(list)
    with open(sys.argv[1], newline="") as file:
        for row in csv.DictReader(file):
            lines[row["category"]].append((Decimal(row["amount"]), Decimal(row["price"])))
    for category in sorted(lines):
        print(f"{category:10} {total(lines[category]):>8}")


if __name__ == "__main__":
    main()
