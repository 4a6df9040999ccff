"""Programs that run in processes of their own and print one line of JSON: each trains; `keras_load` only loads.

`plain_torch`, `keras_fit`, `keras_recipe` and `keras_load` import nothing of Tenfold: peers run them in environments
of their own.
"""
