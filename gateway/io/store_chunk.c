/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_chunk.h"

#include <string.h>

#include "base/check.h"
#include "gateway/core/decimal.h"

/* The form of a number: as before when it fits, else with the fewest decimals, else raw. */
static uint8_t number_form(const struct chunk_state *state, double number, uint8_t *ret_decimals, uint64_t *ret_whole) {
    unsigned decimals = state->decimals;
    int64_t whole = 0;
    uint8_t form = FORM_RAW;
    if ((state->form == FORM_SCALED || state->form == FORM_SINGLE) && decimal_exactly(number, state->form == FORM_SINGLE, decimals, &whole))
        form = state->form;
    else if (decimal_fewest(number, false, &decimals, &whole))
        form = FORM_SCALED;
    else if (decimal_fewest(number, true, &decimals, &whole))
        form = FORM_SINGLE;
    *ret_decimals = form == FORM_RAW ? 0 : (uint8_t)decimals;
    *ret_whole = (uint64_t)whole;
    return form;
}

static uint8_t value_form(const struct chunk_state *state, const struct value *value, uint8_t *ret_decimals, uint64_t *ret_whole) {
    *ret_decimals = 0;
    *ret_whole = 0;
    switch (value->kind) {
    case VALUE_NONE:
        break;
    case VALUE_NUMBER:
        return number_form(state, value->number, ret_decimals, ret_whole);
    case VALUE_INTEGER:
        *ret_whole = (uint64_t)value->integer;
        return FORM_INTEGER;
    case VALUE_UNSIGNED:
        *ret_whole = value->whole;
        return FORM_UNSIGNED;
    case VALUE_TEXT:
        return FORM_TEXT;
    }
    return FORM_NONE;
}

static bool form_is_whole(unsigned form) {
    return form == FORM_INTEGER || form == FORM_UNSIGNED || form == FORM_SCALED || form == FORM_SINGLE;
}

static void value_put(struct bytes_writer *writer, unsigned form, unsigned decimals, uint64_t whole, const struct value *value) {
    switch ((enum chunk_form)form) {
    case FORM_NONE:
        break;
    case FORM_RAW:
        bytes_put_double(writer, value->number);
        break;
    case FORM_INTEGER:
        bytes_put_zigzag(writer, (int64_t)whole);
        break;
    case FORM_UNSIGNED:
        bytes_put_varint(writer, whole);
        break;
    case FORM_TEXT:
        bytes_put_text(writer, value->text);
        break;
    case FORM_SCALED:
    case FORM_SINGLE:
        bytes_put_u8(writer, (uint8_t)decimals);
        bytes_put_zigzag(writer, (int64_t)whole);
    }
}

void chunk_put(struct bytes_writer *writer, struct chunk_state *state, int64_t hour, const struct packed_reading *reading) {
    CHECK(reading->at_ms >= 0 && chunk_hour(reading->at_ms) == hour);
    if (!state->begun)
        state->at_ms = hour * HOUR_MS;
    uint8_t decimals;
    uint64_t whole;
    uint8_t form = value_form(state, &reading->value, &decimals, &whole);
    int64_t step_ms = reading->at_ms - state->at_ms, change_ms = step_ms - state->step_ms;
    bool same = state->begun && form == state->form && reading->quality == state->quality && reading->reason == state->reason &&
                decimals == state->decimals && form != FORM_RAW && (form != FORM_TEXT || strcmp(state->text, reading->value.text) == 0);
    uint64_t zigzag = ((uint64_t)change_ms << 1) ^ (change_ms < 0 ? UINT64_MAX : 0); /* small: within an hour */
    bytes_put_varint(writer, zigzag << 1 | !same);
    if (!same) {
        bytes_put_u8(writer, (uint8_t)(form | reading->quality << 4));
        if (reading->quality != QUALITY_GOOD)
            bytes_put_u8(writer, reading->reason);
        value_put(writer, form, decimals, whole, &reading->value);
    } else if (form_is_whole(form)) {
        bytes_put_zigzag(writer, (int64_t)(whole - state->whole));
    }
    *state = (struct chunk_state){.begun = true,
                                  .form = form,
                                  .quality = reading->quality,
                                  .reason = reading->quality != QUALITY_GOOD ? reading->reason : REASON_NONE,
                                  .decimals = decimals,
                                  .at_ms = reading->at_ms,
                                  .step_ms = step_ms,
                                  .whole = whole};
    if (form == FORM_TEXT)
        memcpy(state->text, reading->value.text, sizeof(state->text));
}

void chunk_put_head(struct bytes_writer *writer, uint32_t count, uint32_t size) {
    bytes_put_varint(writer, count);
    bytes_put_varint(writer, size);
}

void chunk_reader_init(struct chunk_reader *reader, uint32_t series, int64_t begin_ms, int64_t span_ms, const uint8_t *bytes, size_t size) {
    *reader = (struct chunk_reader){.begin_ms = begin_ms, .span_ms = span_ms, .series = series};
    bytes_reader_init(&reader->bytes, bytes, size);
}

static void told_get(struct bytes_reader *bytes, struct chunk_state *state, double *ret_raw) {
    uint8_t head = bytes_get_u8(bytes);
    state->form = head & 0x0F;
    state->quality = head >> 4;
    state->reason = state->quality != QUALITY_GOOD ? bytes_get_u8(bytes) : REASON_NONE;
    state->decimals = 0;
    state->whole = 0;
    switch ((enum chunk_form)state->form) {
    case FORM_NONE:
        return;
    case FORM_RAW:
        *ret_raw = bytes_get_double(bytes);
        return;
    case FORM_INTEGER:
        state->whole = (uint64_t)bytes_get_zigzag(bytes);
        return;
    case FORM_UNSIGNED:
        state->whole = bytes_get_varint(bytes);
        return;
    case FORM_TEXT:
        bytes_get_text(bytes, state->text, sizeof(state->text));
        return;
    case FORM_SCALED:
    case FORM_SINGLE:
        state->decimals = bytes_get_u8(bytes);
        state->whole = (uint64_t)bytes_get_zigzag(bytes);
        if (state->decimals > DECIMALS_MAX)
            bytes->failed = true;
        return;
    }
    bytes->failed = true;
}

static void value_get(const struct chunk_state *state, double raw, struct value *ret_value) {
    memset(ret_value, 0, sizeof(*ret_value));
    switch ((enum chunk_form)state->form) {
    case FORM_NONE:
        return;
    case FORM_RAW:
        ret_value->kind = VALUE_NUMBER;
        ret_value->number = raw;
        return;
    case FORM_INTEGER:
        ret_value->kind = VALUE_INTEGER;
        ret_value->integer = (int64_t)state->whole;
        return;
    case FORM_UNSIGNED:
        ret_value->kind = VALUE_UNSIGNED;
        ret_value->whole = state->whole;
        return;
    case FORM_TEXT:
        ret_value->kind = VALUE_TEXT;
        memcpy(ret_value->text, state->text, sizeof(ret_value->text));
        return;
    case FORM_SCALED:
    case FORM_SINGLE:
        ret_value->kind = VALUE_NUMBER;
        ret_value->number = decimal_number((int64_t)state->whole, state->form == FORM_SINGLE, state->decimals);
    }
}

/* Opens the next segment; false at the end. */
static bool segment_open(struct chunk_reader *reader) {
    struct bytes_reader *bytes = &reader->bytes;
    if (bytes->position == bytes->size)
        return false;
    reader->left = bytes_get_varint(bytes);
    uint64_t size = bytes_get_varint(bytes);
    if (bytes->failed || reader->left == 0 || size > bytes->size - bytes->position) {
        bytes->failed = true;
        return false;
    }
    reader->segment_end = bytes->position + (size_t)size;
    reader->state = (struct chunk_state){.at_ms = reader->begin_ms};
    return true;
}

bool chunk_get(struct chunk_reader *reader, struct packed_reading *ret_reading) {
    struct bytes_reader *bytes = &reader->bytes;
    struct chunk_state *state = &reader->state;
    if (bytes->failed || (!reader->left && !segment_open(reader)))
        return false;
    uint64_t token = bytes_get_varint(bytes), zigzag = token >> 1;
    double raw = 0;
    /* Unsigned sums: damaged bytes may overflow, and are then found to lie outside. */
    uint64_t change_ms = (zigzag >> 1) ^ (zigzag & 1 ? UINT64_MAX : 0);
    uint64_t step_ms = (uint64_t)state->step_ms + change_ms;
    int64_t at_ms = (int64_t)((uint64_t)state->at_ms + step_ms);
    if (token & 1)
        told_get(bytes, state, &raw);
    else if (!state->begun || state->form == FORM_RAW)
        bytes->failed = true;
    else if (form_is_whole(state->form))
        state->whole += (uint64_t)bytes_get_zigzag(bytes);
    if (at_ms < reader->begin_ms || at_ms - reader->begin_ms >= reader->span_ms || bytes->position > reader->segment_end)
        bytes->failed = true;
    reader->left--;
    if (!bytes->failed && !reader->left && bytes->position != reader->segment_end)
        bytes->failed = true;
    if (bytes->failed)
        return false;
    state->begun = true;
    state->step_ms = (int64_t)step_ms;
    state->at_ms = at_ms;
    *ret_reading = (struct packed_reading){.series = reader->series, .at_ms = at_ms, .quality = state->quality, .reason = state->reason};
    value_get(state, raw, &ret_reading->value);
    return true;
}
