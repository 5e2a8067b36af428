"""The product's rules as data: one table a file, every row with the number of the rule it comes from."""
