"""What a report consists of, and what it is rendered to: markdown, one page of HTML, LaTeX; words, looks, pictures."""
