"""What would a language model have become, had it seen the same data in another order?"""

__version__ = "0.1.0"
