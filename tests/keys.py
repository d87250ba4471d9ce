"""Which secret keys do the tests' databases have?"""

KEYS = ("a-secret-key-of-the-tests",)
