"""Plain English to one SQL statement: the question's words matched to the tables and columns of a schema text."""
