"""How often intervals hold the truth and sentences are false, by simulation: `python -m reports.numbers.simulation`."""
