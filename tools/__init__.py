"""Tools: everything Tocsin reaches outside its own process; records are the words it uses for it."""
