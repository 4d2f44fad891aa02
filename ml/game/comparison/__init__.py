"""Other schemes, their properties, and families of games with known answers."""
