"""What adapters are made of: signatures, fields and the shape of an adapter."""
