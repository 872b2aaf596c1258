/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/decimal.h"

#include <string.h>

#include "base/check.h"

#define SCALED_MAX 9007199254740992.0 /* 2^53: whole numbers up to here are exact as doubles */

static double power_of_ten(unsigned decimals) {
    static const double powers[DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    CHECK(decimals <= DECIMALS_MAX);
    return powers[decimals];
}

double decimal_number(int64_t whole, bool single, unsigned decimals) {
    double value = (double)whole / power_of_ten(decimals);
    return single ? (double)(float)value : value;
}

/* Rounded by a conversion and not by the library's call: this is done for every reading. */
bool decimal_exactly(double number, bool single, unsigned decimals, int64_t *ret_whole) {
    double scaled = number * power_of_ten(decimals);
    if (!(scaled <= SCALED_MAX && scaled >= -SCALED_MAX))
        return false;
    int64_t whole = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    double back = decimal_number(whole, single, decimals);
    *ret_whole = whole;
    return memcmp(&back, &number, sizeof(back)) == 0;
}

bool decimal_fewest(double number, bool single, unsigned *ret_decimals, int64_t *ret_whole) {
    if (single && (double)(float)number != number)
        return false;
    for (unsigned decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
        *ret_decimals = decimals;
        if (decimal_exactly(number, single, decimals, ret_whole))
            return true;
    }
    return false;
}
