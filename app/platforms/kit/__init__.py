"""Building blocks of adapters: signature schemes, field readers and the adapter base class."""
