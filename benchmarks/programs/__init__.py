"""The programs that are timed: each trains in a process of its own and prints one line of JSON.

`plain_torch`, `keras_fit` and `keras_recipe` import nothing of Tenfold: peers run them in environments of their own.
"""
