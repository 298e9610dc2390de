"""A plain, slow twin of every validation rule, written from the text of the rules alone."""
