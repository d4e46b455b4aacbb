"""``make setup``: the environment in ``.venv``, whatever state it is in.

Any Python from 3.6 on can run this package, so one that is too old can say so. It needs nothing beyond Python itself.

An environment is complete, or it is made again. Its stamp is written last, and is removed while packages are installed,
so the code need not know the many ways in which an interrupted set-up is incomplete.
"""
