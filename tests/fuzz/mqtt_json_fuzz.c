/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to a subscriber for an entry that a damaged store gave back: any kind, any header, any body.
 *  1. The payload is one JSON value of valid UTF-8, by a reader of our own (json.c), and holds no control character. Nothing, it is only
 *     as the end of an alarm's retained topic.
 *  2. The topic is valid UTF-8 under the prefix, without wildcards.
 *  3. In too small a buffer it is refused, never cut: what is told to fit is what a large buffer gets.
 *
 * Input: kind, lane and flags, time zone, seq, start, at, size of the small buffer, body. */
#include <string.h>

#include "base/check.h"
#include "fuzz.h"
#include "gateway/uplinks/mqtt_json.h"
#include "json.h"

#define PREFIX "yanhuo/v1/gw"

static char large_payload[262144], small_payload[65536];

static bool plain_topic(const struct text *topic) {
    for (size_t i = 0; i < topic->length; i++)
        if ((unsigned char)topic->bytes[i] < 0x20 || strchr("+#", topic->bytes[i]))
            return false;
    return strncmp(topic->bytes, PREFIX "/", strlen(PREFIX) + 1) == 0 && json_is_utf8(topic->bytes, topic->length);
}

/* The retained state of an alarm with these words. Its names are the configuration's own, so that its topic is not judged. */
static void check_alarm(const struct mqtt_json *json, const struct entry *entry) {
    struct alarm_event event;
    struct text topic, payload;
    char topic_bytes[TOPIC_SIZE];
    text_init(&topic, topic_bytes, sizeof(topic_bytes));
    text_init(&payload, large_payload, sizeof(large_payload));
    if (entry_get_alarm(entry, &event) && mqtt_json_alarm(json, &event, entry->seq, entry->at_ms, &topic, &payload))
        PROPERTY(payload.bytes[0] == '{' && json_is_valid(payload.bytes, payload.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const struct series series[] = {{"meter-1", "current"}, {"meter-1", "power"}, {"smoke-1", "smoke"}};
    static const struct series_directory directory = {.count = ARRAY_COUNT(series), .items = series};
    struct fuzz_input input = {bytes, size};
    struct config config = {.gateway_id = "gw", .hash = "0", .profiles_hash = "0"};
    struct mqtt_json json = {.config = &config, .series = &directory, .topic_prefix = PREFIX, .version = "0"};
    char topic_bytes[TOPIC_SIZE], small_topic[TOPIC_SIZE];
    struct text topic, payload, small;
    struct entry entry = {.kind = (enum entry_kind)(fuzz_u8(&input) % (ENTRY_READINGS + 1))};
    uint8_t flags = fuzz_u8(&input);
    entry.lane = (enum lane)(flags % LANES_COUNT);
    entry.trusted = flags & 4;
    config.utc_offset_minutes = (int8_t)fuzz_u8(&input) * 15 % (14 * 60);
    entry.seq = fuzz_u64(&input);
    entry.start = fuzz_u64(&input);
    entry.at_ms = (int64_t)fuzz_u64(&input);
    size_t room = 1 + fuzz_u16(&input) % (sizeof(small_payload) - 1);
    entry.body = input.bytes;
    entry.body_size = (uint32_t)input.size;

    text_init(&topic, topic_bytes, sizeof(topic_bytes));
    text_init(&payload, large_payload, sizeof(large_payload));
    if (!mqtt_json_entry(&json, &entry, flags & 8, &topic, &payload))
        return 0;
    PROPERTY(!payload.full && !topic.full && strlen(large_payload) == payload.length);
    bool cleared = entry.kind == ENTRY_CLEARED && !payload.length && strncmp(topic.bytes, PREFIX "/alarm/", strlen(PREFIX "/alarm/")) == 0;
    PROPERTY(cleared || (payload.bytes[0] == '{' && json_is_valid(payload.bytes, payload.length)));
    PROPERTY(plain_topic(&topic));

    text_init(&topic, small_topic, sizeof(small_topic));
    text_init(&small, small_payload, room);
    bool fits = mqtt_json_entry(&json, &entry, flags & 8, &topic, &small);
    PROPERTY(fits == (payload.length < room));
    PROPERTY(small.length < room && small_payload[small.length] == '\0');
    PROPERTY(!fits || (small.length == payload.length && memcmp(small_payload, large_payload, small.length) == 0));
    check_alarm(&json, &entry);
    return 0;
}
