/* SPDX-License-Identifier: Apache-2.0 */
/* A command's payload of any bytes, under any verb, from anybody.
 *  1. Either there is a refusal of valid UTF-8 without control characters, or every text is one: ended, UTF-8, without control
 *     characters, its names names; what the verb needs is there and nothing it does not take.
 *  2. The id is a name or "", because it becomes a topic.
 *  3. Nobody gets authority but a local owner or by a right signature, which random bytes never are; what needs it is refused without.
 *  4. The bytes behind COMMAND_SIZE are not looked at: they need not be there.
 *
 * Input: verb, flags (1 local owner, 2 retained, 4 no key, 8 the whole size is larger, 16 sign what comes), payload. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "gateway/io/command_json.h"
#include "json.h"

static bool is_line(const char *text, size_t size) {
    const char *end = memchr(text, '\0', size);
    for (const char *c = text; end && c < end; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    return end && json_is_utf8(text, (size_t)(end - text));
}

static void check_taken(const struct command *command) {
    const struct command_rule *rule = command_rule(command->verb);
    PROPERTY(rule && command->id[0] && command->by[0] && is_line(command->by, sizeof(command->by)));
    PROPERTY((command->fields & rule->needed) == rule->needed && !(command->fields & ~rule->allowed));
    PROPERTY(!rule->authorised || command->authorised);
    for (unsigned i = 0; i < command_texts_count; i++) {
        const struct command_text *text = &command_texts[i];
        const char *at = (const char *)command + text->offset;
        PROPERTY(is_line(at, text->size) && (at[0] != '\0') == ((command->fields & text->field) != 0));
        PROPERTY(!at[0] || !text->is_name || text_is_name(at));
    }
    PROPERTY(is_line(command->value_text, sizeof(command->value_text)));
    PROPERTY(!(command->fields & FIELD_MINUTES) || (command->minutes >= 1 && command->minutes <= COMMAND_MINUTES_MAX));
    PROPERTY(command->value - command->value == 0); /* finite */
}

/* The payload in a right envelope; its length, 0 when it is no text that can be signed. */
static size_t sign(const struct command_key *key, const char *verb, const uint8_t *bytes, size_t size, char *envelope, size_t envelope_size) {
    char signed_text[COMMAND_SIZE + 1], hmac[COMMAND_HMAC_SIZE];
    struct text text;
    if (size > COMMAND_SIZE || memchr(bytes, 0, size) || !json_is_utf8((const char *)bytes, size))
        return 0;
    memcpy(signed_text, bytes, size);
    signed_text[size] = '\0';
    PROPERTY(command_json_sign(key, verb, signed_text, hmac));
    text_init(&text, envelope, envelope_size);
    text_add(&text, "{\"hmac\":\"");
    text_add(&text, hmac);
    text_add(&text, "\",\"signed\":");
    text_add_json(&text, signed_text);
    text_add(&text, "}");
    PROPERTY(!text.full);
    return text.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static char envelope[8 * COMMAND_SIZE];
    struct fuzz_input input = {bytes, size};
    uint8_t which = fuzz_u8(&input), flags = fuzz_u8(&input);
    const struct command_rule *rule = command_rule((enum command_verb)(which % 13));
    const struct command_source source = {
        .channel = flags & 1 ? CHANNEL_SOCKET : CHANNEL_MQTT, .peer = "mqtt city", .authorised = flags & 1, .retained = flags & 2};
    const struct command_key key = {.gateway_id = "gw", .bytes = flags & 4 ? NULL : "a key that nobody guesses", .size = 25};
    const char *verb = rule ? rule->name : "no\nverb";
    const char *payload = (const char *)input.bytes;
    size_t whole = input.size;
    bool right = false;
    if (flags & 16 && key.bytes && (whole = sign(&key, verb, input.bytes, input.size, envelope, sizeof(envelope))) > 0) {
        payload = envelope;
        right = true;
    } else {
        whole = input.size;
    }
    size_t there = whole < COMMAND_SIZE ? whole : COMMAND_SIZE;
    char *copy = malloc(there ? there : 1); /* its own, so that a sanitizer sees the end */
    if (!copy)
        abort();
    if (there)
        memcpy(copy, payload, there);
    if (flags & 8)
        whole = there == COMMAND_SIZE ? whole + 1000000 : whole;
    struct command command;
    command_json_read(&source, &key, verb, copy, whole, &command);
    free(copy);
    PROPERTY(is_line(command.refusal, sizeof(command.refusal)) && is_line(command.id, sizeof(command.id)));
    PROPERTY(!command.id[0] || text_is_name(command.id));
    PROPERTY(command.authorised <= (source.authorised || right) && command.retained == source.retained);
    PROPERTY(whole <= COMMAND_SIZE || command.refusal[0]);
    if (!command.refusal[0])
        check_taken(&command);
    return 0;
}
