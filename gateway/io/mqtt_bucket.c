/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/mqtt_bucket.h"

#include "base/limits.h"

#define EACH_US (1000000 / COMMANDS_PER_S)

bool mqtt_bucket_take(struct mqtt_bucket *bucket, int64_t now_us) {
    int64_t paid_us = bucket->paid_until_us > now_us ? bucket->paid_until_us : now_us;
    if (paid_us - now_us > (COMMANDS_BURST - 1) * (int64_t)EACH_US)
        return false;
    bucket->paid_until_us = paid_us + EACH_US;
    return true;
}
