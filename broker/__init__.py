"""The wire: what members say, on which topics, in which bytes, and the broker that carries it."""
