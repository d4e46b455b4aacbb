"""The classroom: learners who join let an instructor see how far everybody is. Off unless a learner joins.

A small application of its own. It knows nothing of the service (``labserver``) and the service knows nothing of it.

The board's side: ``serving`` starts ``app``, which keeps what is posted in ``store`` (SQLite, one ``writer``) and shows
it as ``figures`` on ``page`` and as a ``table``. The learner's side: ``joined`` remembers the board, ``posting`` tells
it the result of a check through ``wire``.
"""
