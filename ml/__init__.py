"""Float country: trains coalition models and works out who owes whom, in units of value."""
