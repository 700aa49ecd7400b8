/*
 * near.c - edit distance between words, for "did you mean".
 */
#include "lib/near.h"

#include <assert.h>

unsigned near_distance(struct span a, struct span b)
{
    unsigned d[NEAR_MAX + 1][NEAR_MAX + 1];
    assert(a.n <= NEAR_MAX && b.n <= NEAR_MAX);
    for (size_t i = 0; i <= a.n; i++)
        for (size_t j = 0; j <= b.n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            unsigned least = d[i - 1][j - 1] + (a.p[i - 1] != b.p[j - 1] ? 1 : 0);
            least = d[i - 1][j] + 1 < least ? d[i - 1][j] + 1 : least;
            least = d[i][j - 1] + 1 < least ? d[i][j - 1] + 1 : least;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                least = d[i - 2][j - 2] + 1 < least ? d[i - 2][j - 2] + 1 : least;
            d[i][j] = least;
        }
    return d[a.n][b.n];
}
