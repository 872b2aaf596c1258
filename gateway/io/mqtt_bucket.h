/* SPDX-License-Identifier: Apache-2.0 */
/* How many commands of one uplink are taken: COMMANDS_PER_S on average and COMMANDS_BURST at once. Pure: the time is an argument. */
#ifndef YANHUO_MQTT_BUCKET_H
#define YANHUO_MQTT_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct mqtt_bucket {
    int64_t paid_until_us; /* if commands came evenly, what was taken so far would last until then */
};

/* True: this one may be taken. `now_us` never goes back. */
bool mqtt_bucket_take(struct mqtt_bucket *bucket, int64_t now_us);

#endif
