"""The house that knows cases: doors, journeys, rules and records; the workshops below it know none."""
