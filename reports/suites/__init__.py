"""One report a module or package: `build(results, folder) -> Document`, with its words, tables and figures."""
