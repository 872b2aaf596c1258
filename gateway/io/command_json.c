/* SPDX-License-Identifier: Apache-2.0 */
/* Payload -> look over (command_look.c) -> JSON -> is it signed? -> members, each by the table of its kind -> what is missing.
 *
 * The first thing that is wrong is the refusal; after that nothing is read any more but the id, which `command_look` found before,
 * so that whoever asked hears about it. Words of the payload are quoted short and without control characters: a refusal is read in a log.
 * A name that was written twice, or is not known, is refused and never passed over: who misspells `device` must hear it, and two
 * readers that keep different ones of a pair would see two commands. */
#include "gateway/io/command_json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/hex.h"
#include "base/text.h"
#include "gateway/io/command_look.h"
#include "gateway/io/hmac.h"

#define QUOTE_SIZE 48 /* of a word in a refusal */
#define TIME_EXAMPLE "expected a time with offset, like 2026-11-23T12:00:00+08:00"
#define HEAD_MEMBERS 4

static const char *const head_names[HEAD_MEMBERS] = {"id", "by", "issued", "expires"};

__attribute__((format(printf, 2, 3))) static bool refuse(struct command *command, const char *format, ...) {
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (!command->refusal[0])
        (void)text_copy(command->refusal, sizeof(command->refusal), line);
    return false;
}

static bool is_control(const char *at) {
    const unsigned char *c = (const unsigned char *)at;
    return c[0] < 0x20 || c[0] == 0x7F || (c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0); /* those of Latin-1 too */
}

static const char *quote(char buffer[QUOTE_SIZE], const char *word) {
    if (!text_is_utf8(word, strlen(word)))
        return "(not UTF-8)";
    if (!text_copy(buffer, QUOTE_SIZE - 3, word))
        memcpy(buffer + strlen(buffer), "...", 4);
    for (char *c = buffer; *c; c++)
        if (is_control(c))
            *c = '?';
    return text_is_utf8(buffer, strlen(buffer)) ? buffer : "(control characters)";
}

static bool has_control(const char *string) {
    for (; *string; string++)
        if (is_control(string))
            return true;
    return false;
}

/* ---- names ---- */

static void list_fields(const struct command_rule *rule, uint32_t fields, char *list, size_t size) {
    struct text text;
    text_init(&text, list, size);
    for (uint32_t bit = 1; bit && bit <= rule->allowed; bit <<= 1) {
        if (!(fields & bit))
            continue;
        if (text.length)
            text_add(&text, ", ");
        text_add(&text, command_field_name((enum command_field)bit));
    }
}

static const char *nearest(const char *word, const char *const *names, unsigned count) {
    for (unsigned limit = 1; limit <= 2; limit++)
        for (unsigned i = 0; i < count; i++)
            if (strlen(word) > limit && text_distance(word, names[i], limit) <= limit)
                return names[i];
    return NULL;
}

static bool refuse_verb(struct command *command, const char *verb) {
    const char *names[COMMAND_WRITE];
    char buffer[QUOTE_SIZE];
    unsigned count = 0;
    for (unsigned i = COMMAND_ACKNOWLEDGE; i <= COMMAND_WRITE; i++)
        if (command_rule((enum command_verb)i))
            names[count++] = command_rule((enum command_verb)i)->name;
    const char *near = nearest(verb, names, count);
    return refuse(command, "there is no command '%s'%s%s%s", quote(buffer, verb), near ? "; did you mean '" : "; `yanhuo command` lists them",
                  near ? near : "", near ? "'?" : "");
}

static bool refuse_name(struct command *command, const struct command_rule *rule, const char *name) {
    const char *names[HEAD_MEMBERS + 32];
    char buffer[QUOTE_SIZE], list[EVENT_TEXT_SIZE];
    unsigned count = 0;
    for (; count < HEAD_MEMBERS; count++)
        names[count] = head_names[count];
    for (uint32_t bit = 1; bit && bit <= FIELD_STOP; bit <<= 1) {
        names[count++] = command_field_name((enum command_field)bit);
        if (strcmp(name, names[count - 1]) != 0)
            continue;
        list_fields(rule, rule->allowed, list, sizeof(list));
        return refuse(command, "%s takes no '%s'; it takes %s", rule->name, name, list);
    }
    const char *near = nearest(name, names, count);
    return refuse(command, "'%s' is no member of a command%s%s%s", quote(buffer, name), near ? "; did you mean '" : "", near ? near : "",
                  near ? "'?" : "");
}

/* ---- members ---- */

/* NULL, and refused, when it is no such text. */
static const char *text_of(struct command *command, const cJSON *item, size_t size, bool is_name) {
    const char *string = cJSON_GetStringValue(item);
    if (!string)
        refuse(command, "'%s' is no text; expected it in double quotes", item->string);
    else if (string[0] == '\0')
        refuse(command, "'%s' is empty", item->string);
    else if (has_control(string))
        refuse(command, "'%s' holds control characters; expected one line of text", item->string);
    else if (strlen(string) >= size)
        refuse(command, "'%s' has %zu bytes; at most %zu are taken", item->string, strlen(string), size - 1);
    else if (is_name && !text_is_name(string))
        refuse(command, "'%s' is no name; expected letters, digits, '-', '_', '.', beginning with a letter or digit", item->string);
    else
        return string;
    return NULL;
}

static bool take_text(struct command *command, const cJSON *item, char *target, size_t size, bool is_name) {
    const char *string = text_of(command, item, size, is_name);
    return string && text_copy(target, size, string);
}

static bool take_time(struct command *command, const cJSON *item, int64_t *ret_ms) {
    const char *string = cJSON_GetStringValue(item);
    return (string && text_read_time(string, ret_ms)) || refuse(command, "'%s' is no time; " TIME_EXAMPLE, item->string);
}

static bool take_flag(struct command *command, const cJSON *item, bool *ret_flag) {
    *ret_flag = cJSON_IsTrue(item);
    return cJSON_IsBool(item) || refuse(command, "'%s' is neither true nor false", item->string);
}

static bool take_minutes(struct command *command, const cJSON *item) {
    double number = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (!(number >= 1 && number <= COMMAND_MINUTES_MAX) || floor(number) != number)
        return refuse(command, "'%s' is no whole number from 1 to %d", item->string, COMMAND_MINUTES_MAX);
    command->minutes = (uint32_t)number;
    return true;
}

static bool take_value(struct command *command, const cJSON *item) {
    if (cJSON_IsNumber(item) && isfinite(item->valuedouble)) {
        command->value = item->valuedouble;
        return true;
    }
    if (!cJSON_IsString(item))
        return refuse(command, "'%s' is neither a number nor a text such as \"off\"", item->string);
    return take_text(command, item, command->value_text, sizeof(command->value_text), false);
}

static bool take_field(struct command *command, enum command_field field, const cJSON *item) {
    command->fields |= field;
    for (unsigned i = 0; i < command_texts_count; i++)
        if (command_texts[i].field == field)
            return take_text(command, item, (char *)command + command_texts[i].offset, command_texts[i].size, command_texts[i].is_name);
    if (field == FIELD_VALUE)
        return take_value(command, item);
    if (field == FIELD_MINUTES)
        return take_minutes(command, item);
    if (field == FIELD_UNTIL || field == FIELD_NEXT_DUE)
        return take_time(command, item, field == FIELD_UNTIL ? &command->until_ms : &command->next_due_ms);
    return take_flag(command, item, field == FIELD_ON ? &command->on : field == FIELD_INHIBIT ? &command->inhibit : &command->stop);
}

static bool take_head(struct command *command, unsigned head, const cJSON *item) {
    switch (head) {
    case 0:
        return take_text(command, item, command->id, sizeof(command->id), true);
    case 1:
        return take_text(command, item, command->by, sizeof(command->by), false);
    case 2:
        return take_time(command, item, &command->issued_ms);
    default:
        return take_time(command, item, &command->expires_ms);
    }
}

static bool take_member(struct command *command, const struct command_rule *rule, const cJSON *item, uint32_t *head_seen) {
    for (unsigned head = 0; head < HEAD_MEMBERS; head++) {
        if (strcmp(item->string, head_names[head]) != 0)
            continue;
        bool twice = *head_seen & 1u << head;
        *head_seen |= 1u << head;
        return twice ? refuse(command, "'%s' is written twice", item->string) : take_head(command, head, item);
    }
    for (uint32_t bit = 1; bit && bit <= rule->allowed; bit <<= 1)
        if (rule->allowed & bit && strcmp(item->string, command_field_name((enum command_field)bit)) == 0)
            return command->fields & bit ? refuse(command, "'%s' is written twice", item->string)
                                         : take_field(command, (enum command_field)bit, item);
    return refuse_name(command, rule, item->string);
}

static bool take_members(struct command *command, const struct command_rule *rule, const cJSON *object) {
    uint32_t head_seen = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
        if (!take_member(command, rule, item, &head_seen))
            return false;
    for (unsigned head = 0; head < HEAD_MEMBERS; head++)
        if (!(head_seen & 1u << head))
            return refuse(command, "'%s' is missing; every command has id, by, issued and expires", head_names[head]);
    uint32_t missing = rule->needed & ~command->fields;
    if (missing) {
        char needed[EVENT_TEXT_SIZE];
        list_fields(rule, rule->needed, needed, sizeof(needed));
        return refuse(command, "'%s' is missing; %s needs %s", command_field_name((enum command_field)(missing & -missing)), rule->name, needed);
    }
    return !rule->authorised || command->authorised ||
           refuse(command, "%s must be signed, or come from the gateway's own machine by its owner; see docs/commands.md", rule->name);
}

/* ---- the text ---- */

/* The object, or NULL and refused. *ret_id, when it is "", becomes the id that can be seen in the text, however wrong the rest is. */
static cJSON *read_object(struct command *command, const char *text, size_t size) {
    char bytes[COMMAND_SIZE + 1];
    struct command_look look;
    size_t length = size < COMMAND_SIZE ? size : COMMAND_SIZE;
    memcpy(bytes, text, length);
    bytes[length] = '\0';
    command_look(bytes, length, &look);
    if (!command->id[0])
        (void)text_copy(command->id, sizeof(command->id), look.id);
    if (size == 0)
        refuse(command, "the command is empty; expected a JSON object");
    else if (size > COMMAND_SIZE)
        refuse(command, "the command has %zu bytes; at most %d are taken", size, COMMAND_SIZE);
    else if (!text_is_utf8(bytes, length))
        refuse(command, "the command is not UTF-8 text");
    else if (look.wrong)
        refuse(command, "the command %s", look.wrong);
    if (command->refusal[0])
        return NULL;
    const char *end = bytes;
    cJSON *object = cJSON_ParseWithLengthOpts(bytes, length + 1, &end, true);
    if (!object)
        refuse(command, "the command is no JSON: wrong at byte %zu", (size_t)(end - bytes) + 1);
    else if (!cJSON_IsObject(object))
        refuse(command, "the command is no JSON object; expected {\"id\": ...}");
    if (!command->refusal[0])
        return object;
    cJSON_Delete(object);
    return NULL;
}

static bool make_hmac(const struct command_key *key, const char *verb, const char *text, uint8_t ret_mac[HMAC_SIZE]) {
    char bytes[2 * NAME_SIZE + COMMAND_SIZE + 1];
    struct text whole;
    text_init(&whole, bytes, sizeof(bytes));
    text_add(&whole, key->gateway_id);
    text_add_char(&whole, '\n');
    text_add(&whole, verb);
    text_add_char(&whole, '\n');
    text_add(&whole, text);
    return key->bytes && !whole.full && hmac_sha256(key->bytes, key->size, bytes, whole.length, ret_mac) == ERR_OK;
}

bool command_json_sign(const struct command_key *key, const char *verb, const char *text, char ret_hmac[COMMAND_HMAC_SIZE]) {
    uint8_t mac[HMAC_SIZE];
    struct text digits;
    if (!make_hmac(key, verb, text, mac))
        return false;
    text_init(&digits, ret_hmac, COMMAND_HMAC_SIZE);
    hex_add(&digits, mac, sizeof(mac));
    return true;
}

/* The object inside, or NULL and refused. Its id is taken first, so that a wrong signature is answered too. */
static cJSON *open_signed(struct command *command, const struct command_key *key, const char *verb, const cJSON *envelope) {
    uint8_t given[HMAC_SIZE], right[HMAC_SIZE];
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(envelope, "signed"));
    const char *hmac = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(envelope, "hmac"));
    cJSON *inside = text ? read_object(command, text, strlen(text)) : NULL;
    if (!text || !hmac || cJSON_GetArraySize(envelope) != 2)
        refuse(command, "a signed command has 'signed' with its text and 'hmac' with 64 hexadecimal digits, and nothing else");
    else if (!key->bytes)
        refuse(command, "signed commands cannot be checked here: %s", key->missing ? key->missing : "there is no key");
    else if (strlen(hmac) != 2 * HMAC_SIZE || !hex_read(hmac, given, HMAC_SIZE))
        refuse(command, "'hmac' is no HMAC-SHA256; expected 64 hexadecimal digits");
    else if (!make_hmac(key, verb, text, right))
        refuse(command, "there is no memory to check the signature; try again");
    else if (!hmac_equal(given, right))
        refuse(command, "the signature is wrong: another key, another text, or signed for another gateway or command");
    else
        command->authorised = true;
    if (!command->refusal[0])
        return inside;
    cJSON_Delete(inside);
    return NULL;
}

void command_json_read(const struct command_source *source, const struct command_key *key, const char *verb, const char *payload, size_t size,
                       struct command *ret_command) {
    struct command *command = ret_command;
    memset(command, 0, sizeof(*command));
    command->channel = source->channel;
    command->uplink = source->uplink;
    command->socket_id = source->socket_id;
    command->authorised = source->authorised;
    command->retained = source->retained;
    (void)text_copy(command->peer, sizeof(command->peer), source->peer);
    const struct command_rule *rule = command_rule_named(verb);
    command->verb = rule ? rule->verb : (enum command_verb)0;
    cJSON *object = read_object(command, payload, size);
    if (object && (cJSON_GetObjectItemCaseSensitive(object, "signed") || cJSON_GetObjectItemCaseSensitive(object, "hmac"))) {
        cJSON *inside = open_signed(command, key, verb, object);
        cJSON_Delete(object);
        object = inside;
    }
    if (object && !rule)
        (void)refuse_verb(command, verb);
    else if (object)
        (void)take_members(command, rule, object);
    cJSON_Delete(object);
}
