"""Documents: words or characters of a text, or its sentences, in; a class out."""
