"""Totals of receipts."""
