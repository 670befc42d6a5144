"""From records to numbers: statistics, curves of scores, comparisons of methods, how training went."""
