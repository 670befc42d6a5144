"""What the reports of several suites share: sections, tables, figures, published values."""
