"""The assignment problem, compiled."""

from __future__ import annotations

import numpy as np

from spacetime_env.compiled import compiled


@compiled
def assign(cost):  # type: ignore[no-untyped-def]
    """What ``scipy.optimize.linear_sum_assignment`` finds, which compiled code cannot call.

    Shortest augmenting paths (Crouse 2016, doi:10.1109/TAES.2016.140952), a row at a time.

    Args:
        cost: (n, m) with n <= m, finite.

    Returns:
        (n,) the column of each row, so that the sum of the costs is least.
    """
    rows, columns = cost.shape
    of_row, of_column = np.zeros(rows), np.zeros(columns)  # the dual variables
    column_of, row_of = np.full(rows, -1, np.int64), np.full(columns, -1, np.int64)
    before, length, left = np.empty(columns, np.int64), np.empty(columns), np.empty(columns, np.int64)
    visited = np.empty(rows, np.bool_)
    for begin in range(rows):
        visited[:] = False
        length[:] = np.inf
        for k in range(columns):
            left[k] = columns - 1 - k
        count, least, row, sink = columns, 0.0, begin, -1
        while sink < 0:
            visited[row] = True
            nearest, at = np.inf, -1
            for k in range(count):
                column = left[k]
                reduced = least + cost[row, column] - of_row[row] - of_column[column]
                if reduced < length[column]:
                    before[column], length[column] = row, reduced
                ends = length[column] == nearest and row_of[column] < 0
                if length[column] < nearest or ends:  # of equals, one that ends the path
                    nearest, at = length[column], k
            least, column = nearest, left[at]
            count -= 1
            left[at], left[count] = left[count], column  # what was visited is at the end
            if row_of[column] < 0:
                sink = column
            else:
                row = row_of[column]
        of_row[begin] += least
        for other in range(rows):
            if visited[other] and other != begin:
                of_row[other] += least - length[column_of[other]]
        for k in range(count, columns):
            of_column[left[k]] -= least - length[left[k]]
        while True:
            row = before[sink]
            row_of[sink] = row
            column_of[row], sink = sink, column_of[row]
            if row == begin:
                break
    return column_of
