"""`syncline conform`: where the suite is pointed, and how its verdicts are told."""
