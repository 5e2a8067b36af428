"""Shrunk cases told as story scripts. Only text is made here: the story API itself lies in a layer above."""
