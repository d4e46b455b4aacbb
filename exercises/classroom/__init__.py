"""The classroom: a board that shows an instructor the progress of learners who join. Off unless a learner joins.

A small application of its own. It knows nothing of the service (``labserver``) and the service knows nothing of it.

The board's side: ``serving`` starts ``app``, which keeps posts in ``store`` (SQLite, one ``writer``) and shows them as
``figures`` on ``page`` and as a ``table``. The learner's side: ``joined`` remembers the board, ``posting`` sends it the
result of a check through ``wire``.
"""
