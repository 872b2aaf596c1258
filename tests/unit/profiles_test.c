/* SPDX-License-Identifier: Apache-2.0 */
/* Replays the proof vectors of every profile: the frames in the YAML files against the code that talks to the devices.
 *
 *   request  = frame_read of its own function, address and count, for the unit id of the factory   (read)
 *            = what the gateway sends to write that value                                          (write)
 *   reply    -> frame_match -> decode_point -> the values that the file says; null means rejected
 *
 * A problem is a line `file:line: what`, and all of them are told at once; a wrong CRC is told with the right one, so that a
 * person may write 00 00 and copy it. tests/vectors/profile-wrong.yaml holds vectors that must be complained about: a replay
 * that lets everything pass proves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <math.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/text.h"
#include "config/profile.h"
#include "config/yaml.h"
#include "sensors/decode.h"
#include "sensors/frame.h"

#define PROFILES_LEAST 20
#define VECTORS_LEAST 60
#define PATH_SIZE 1024

/* One profile while it is replayed. */
struct replay {
    const char *path;
    const struct profile *profile;
    uint8_t unit_id;                     /* of the factory; 0: not known */
    bool covered[POINTS_PER_DEVICE_MAX]; /* a vector shows a good value or a write of the point */
    unsigned vectors, problems;
    unsigned line;           /* of the vector at work */
    char first_problem[512]; /* of the vector at work */
    bool quiet;
};

struct hex_frame {
    uint8_t bytes[FRAME_SIZE];
    size_t size;
};

/* ---- telling ---- */

__attribute__((format(printf, 2, 3))) static void complain(struct replay *replay, const char *format, ...) {
    char text[sizeof(replay->first_problem)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    replay->problems++;
    if (!replay->first_problem[0])
        (void)text_copy(replay->first_problem, sizeof(replay->first_problem), text);
    if (!replay->quiet)
        print_error("%s:%u: %s\n", replay->path, replay->line, text);
}

static const char *hex(const uint8_t *bytes, size_t size, char buffer[3 * FRAME_SIZE + 1]) {
    size_t at = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < size; i++)
        at += (size_t)snprintf(buffer + at, 4, "%s%02X", i ? " " : "", bytes[i]);
    return buffer;
}

/* ---- reading what stands in the file ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "01 03 00 00": pairs of digits with one blank between; the CRC at the end must be right. */
static bool frame_from(struct replay *replay, const struct node *vector, const char *key, struct hex_frame *ret_frame) {
    const struct node *node = node_get(vector, key);
    const char *text = node ? node->text : "";
    ret_frame->size = 0;
    while (hex_digit(text[0]) >= 0 && hex_digit(text[1]) >= 0 && ret_frame->size < FRAME_SIZE) {
        ret_frame->bytes[ret_frame->size++] = (uint8_t)(hex_digit(text[0]) * 16 + hex_digit(text[1]));
        text += 2;
        if (text[0] == ' ' && text[1] != '\0')
            text++;
        else
            break;
    }
    if (*text != '\0' || ret_frame->size < 4) {
        complain(replay, "the %s is not a frame: write every byte as two digits, with a blank between", key);
        return false;
    }
    uint16_t crc = frame_crc(ret_frame->bytes, ret_frame->size - 2);
    const uint8_t *end = &ret_frame->bytes[ret_frame->size - 2];
    if (end[0] != (crc & 0xFF) || end[1] != crc >> 8) {
        complain(replay, "the %s ends with %02X %02X, but its CRC is %02X %02X", key, end[0], end[1], crc & 0xFFu, (unsigned)crc >> 8);
        return false;
    }
    return true;
}

static const struct point *find_point(struct replay *replay, const char *name) {
    for (uint16_t i = 0; i < replay->profile->points_count; i++)
        if (strcmp(replay->profile->points[i].name, name) == 0)
            return &replay->profile->points[i];
    complain(replay, "there is no point '%s'", name);
    return NULL;
}

static void cover(struct replay *replay, const struct point *point) {
    replay->covered[point - replay->profile->points] = true;
}

/* on, off, a label or a number. */
static bool number_from(const struct point *point, const char *text, double *ret_number) {
    for (unsigned i = 0; i < point->labels_count; i++)
        if (strcmp(point->labels[i].name, text) == 0) {
            *ret_number = (double)point->labels[i].value;
            return true;
        }
    if (strcmp(text, "on") == 0 || strcmp(text, "off") == 0) {
        *ret_number = text[1] == 'n';
        return true;
    }
    return text_read_double(text, ret_number);
}

/* ---- one vector ---- */

static bool close_to(double a, double b) {
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(b)); /* a float of the device has 24 bits */
}

static void compare(struct replay *replay, const struct point *point, const struct reading *reading, const char *expected) {
    double got, wanted;
    if (strcmp(expected, "null") == 0) {
        if (reading->quality != QUALITY_BAD || reading->value.kind != VALUE_NONE)
            complain(replay, "'%s' must be rejected, but becomes a value", point->name);
        return;
    }
    if (reading->quality != QUALITY_GOOD) {
        complain(replay, "'%s' must be %s, but is rejected: %s", point->name, expected, quality_reason_name((enum quality_reason)reading->reason));
        return;
    }
    cover(replay, point);
    if (reading->value.kind == VALUE_TEXT) {
        if (strcmp(reading->value.text, expected) != 0)
            complain(replay, "'%s' must be '%s', but is '%s'", point->name, expected, reading->value.text);
    } else if (!value_number(&reading->value, &got) || !number_from(point, expected, &wanted)) {
        complain(replay, "'%s' must be '%s', which is no number or label of it", point->name, expected);
    } else if (!close_to(got, wanted)) {
        complain(replay, "'%s' must be %s, but is %.10g", point->name, expected, got);
    }
}

static void replay_values(struct replay *replay, const struct node *vector, const struct pdu *request, const uint8_t *data, size_t data_size) {
    uint16_t first = (uint16_t)(request->bytes[1] << 8 | request->bytes[2]), count = (uint16_t)(request->bytes[3] << 8 | request->bytes[4]);
    const struct node *values = node_get(vector, "values");
    if (!values || values->kind != NODE_MAP || values->count == 0) {
        complain(replay, "a read needs 'values': the points in the reply and what they decode to");
        return;
    }
    for (const struct node *value = values->first; value; value = value->next) {
        const struct point *point = find_point(replay, value->key->text);
        if (!point)
            continue;
        bool inside = point->address >= first && (uint32_t)point->address + point->registers <= (uint32_t)first + count;
        if ((unsigned)point->read != request->bytes[0] || !inside) {
            complain(replay, "'%s' is not in this reply: another function, or other addresses", point->name);
            continue;
        }
        struct reading reading = {0};
        decode_point(point, data, data_size, first, count, &reading);
        compare(replay, point, &reading, value->text);
    }
}

static void replay_reply(struct replay *replay, const struct node *vector, const struct pdu *request, const struct hex_frame *reply) {
    const struct node *exception_node = node_get(vector, "exception");
    uint64_t exception_wanted = 0;
    uint8_t exception;
    const uint8_t *data;
    size_t data_size;
    if (exception_node && !text_read_u64(exception_node->text, &exception_wanted)) {
        complain(replay, "'exception' must be a number");
        return;
    }
    enum frame_verdict verdict = frame_match(request, reply->bytes + 1, reply->size - 3, &exception, &data, &data_size);
    if (verdict == FRAME_MISMATCH) {
        complain(replay, "the reply is not an answer to the request: function, length or echo differ");
    } else if (exception_wanted != exception) {
        complain(replay, "the reply carries exception %u, the vector says %u", exception, (unsigned)exception_wanted);
    } else if (verdict == FRAME_GOOD && data) {
        replay_values(replay, vector, request, data, data_size);
    }
}

/* The request that writes `point`; false when it cannot be written. */
static bool build_write(const struct point *point, double number, struct pdu *ret_pdu) {
    uint16_t registers[REGISTERS_READ_MAX];
    struct value value = {.kind = VALUE_NUMBER, .number = number};
    if (!point->writable)
        return false;
    int64_t raw = number != 0 ? point->write_on : point->write_off;
    if (point->read == READ_COIL)
        frame_write_coil(ret_pdu, point->address, (uint16_t)raw);
    else if (point->labels_count > 0)
        frame_write_register(ret_pdu, point->address, (uint16_t)raw);
    else if (decode_encode(point, &value, registers) != ERR_OK)
        return false;
    else if (point->registers == 1)
        frame_write_register(ret_pdu, point->address, registers[0]);
    else
        frame_write_registers(ret_pdu, point->address, registers, point->registers);
    return true;
}

static bool write_request(struct replay *replay, const struct node *write, struct pdu *ret_pdu) {
    double number;
    if (write->kind != NODE_MAP || write->count != 1) {
        complain(replay, "'write' must name one point and its value: {channel-1: off}");
        return false;
    }
    const struct point *point = find_point(replay, write->first->key->text);
    if (!point)
        return false;
    if (!number_from(point, write->first->text, &number) || !build_write(point, number, ret_pdu)) {
        complain(replay, "'%s' cannot be written with '%s'", point->name, write->first->text);
        return false;
    }
    cover(replay, point);
    return true;
}

static bool read_request(struct replay *replay, const struct hex_frame *frame, struct pdu *ret_pdu) {
    const uint8_t *bytes = frame->bytes;
    uint16_t address = (uint16_t)(bytes[2] << 8 | bytes[3]), count = (uint16_t)(bytes[4] << 8 | bytes[5]);
    bool bits = bytes[1] == FC_READ_COILS || bytes[1] == FC_READ_DISCRETE;
    uint16_t most = bits ? BITS_READ_MAX : replay->profile->registers_max;
    if (frame->size != 8 || bytes[1] < FC_READ_COILS || bytes[1] > FC_READ_INPUT || count < 1 || count > most || address + count > 0x10000) {
        complain(replay, "the request is not a read of 1 to %u that the gateway would send (a write needs 'write')", most);
        return false;
    }
    frame_read(ret_pdu, (enum frame_function)bytes[1], address, count);
    return true;
}

static void replay_vector(struct replay *replay, const struct node *vector) {
    struct hex_frame request, reply;
    struct pdu pdu;
    uint8_t built[FRAME_SIZE];
    char wanted[3 * FRAME_SIZE + 1];
    const struct node *write = node_get(vector, "write"), *what = node_get(vector, "what"), *source = node_get(vector, "source");
    replay->vectors++;
    replay->line = vector->line;
    replay->first_problem[0] = '\0';
    if (!what || !what->text[0])
        complain(replay, "'what' is missing: one line that says what the frames show");
    if (!source || (strncmp(source->text, "published", 9) != 0 && strncmp(source->text, "computed", 8) != 0))
        complain(replay, "'source' must begin with published or computed");
    if (!frame_from(replay, vector, "request", &request) || !frame_from(replay, vector, "reply", &reply))
        return;
    if ((replay->unit_id && request.bytes[0] != replay->unit_id) || reply.bytes[0] != request.bytes[0])
        complain(replay, "the unit ids differ: factory %u, request %u, reply %u", replay->unit_id, request.bytes[0], reply.bytes[0]);
    if (write ? !write_request(replay, write, &pdu) : !read_request(replay, &request, &pdu))
        return;
    size_t size = frame_rtu(request.bytes[0], &pdu, built);
    if (size != request.size || memcmp(built, request.bytes, size) != 0)
        complain(replay, "the gateway would send %s", hex(built, size, wanted));
    replay_reply(replay, vector, &pdu, &reply);
}

/* ---- one file ---- */

struct file {
    struct arena arena;
    struct diagnostics diagnostics;
    struct source source;
    struct profile *profile;
    struct replay replay;
};

/* Loads the file as the gateway does, and its nodes once more for the vectors, which the gateway has no use for. */
static enum err file_open(struct file *file, const char *path, const char *name) {
    memset(file, 0, sizeof(*file));
    arena_init(&file->arena);
    diagnostics_init(&file->diagnostics);
    enum err err = profile_load(path, name, &file->arena, &file->diagnostics, &file->profile);
    file->source = (struct source){.path = path, .diagnostics = &file->diagnostics, .arena = &file->arena};
    yaml_read(&file->source);
    file->replay = (struct replay){.path = path, .profile = file->profile};
    const struct node *unit_id = node_get(node_get(file->source.root, "serial"), "unit_id");
    uint64_t factory;
    if (unit_id && text_read_u64(unit_id->text, &factory) && factory <= UINT8_MAX)
        file->replay.unit_id = (uint8_t)factory;
    return err;
}

static void file_close(struct file *file) {
    diagnostics_done(&file->diagnostics);
    arena_done(&file->arena);
}

static void check_file(struct file *file, const char *name) {
    struct replay *replay = &file->replay;
    const struct profile *profile = file->profile;
    const struct node *vectors = node_get(file->source.root, "vectors");
    const struct node *own_name = node_get(file->source.root, "profile"), *confidence = node_get(file->source.root, "confidence");
    if (!own_name || strcmp(own_name->text, name) != 0)
        complain(replay, "the profile must be called '%s', as its file", name);
    if (!profile->source[0])
        complain(replay, "'source' is missing: where does the register map come from?");
    if (!confidence || !confidence->text[0])
        complain(replay, "'confidence' is missing: how sure is the register map?");
    if (!vectors || vectors->kind != NODE_LIST || vectors->count == 0)
        complain(replay, "'vectors' is missing: nothing proves this profile");
    for (uint16_t i = 0; i < profile->points_count; i++)
        if (!profile->points[i].zh || !profile->points[i].en)
            complain(replay, "point '%s' needs a name in both languages", profile->points[i].name);
    for (uint16_t i = 0; i < profile->alarms_count; i++)
        if (!profile->alarms[i].zh || !profile->alarms[i].en)
            complain(replay, "alarm '%s' needs a text in both languages", profile->alarms[i].name);
    for (const struct node *vector = vectors ? vectors->first : NULL; vector; vector = vector->next)
        replay_vector(replay, vector);
    replay->line = 0;
    for (uint16_t i = 0; i < profile->points_count; i++)
        if (!replay->covered[i])
            complain(replay, "no vector shows a good value of point '%s'", profile->points[i].name);
}

/* "name.yaml" -> "name"; false for other files. */
static bool profile_name(const char *file_name, char ret_name[NAME_SIZE]) {
    size_t length = strlen(file_name);
    if (file_name[0] == '.' || length < 6 || length - 5 >= NAME_SIZE || strcmp(file_name + length - 5, ".yaml") != 0)
        return false;
    memcpy(ret_name, file_name, length - 5);
    ret_name[length - 5] = '\0';
    return true;
}

/* ---- the tests ---- */

static void every_profile_proves_itself(void **state) {
    (void)state;
    static struct file file;
    const char *folder = SOURCE_DIR "/sensors/profiles";
    unsigned profiles = 0, vectors = 0, problems = 0;
    char name[NAME_SIZE], path[PATH_SIZE];
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!profile_name(entry->d_name, name))
            continue;
        assert_true(snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < (int)sizeof(path));
        profiles++;
        if (file_open(&file, path, name) != ERR_OK || !file.profile || file.diagnostics.count > 0) {
            diagnostics_print(&file.diagnostics, stderr);
            print_error("%s: does not load without a message\n", path);
            problems++;
        } else {
            check_file(&file, name);
        }
        vectors += file.replay.vectors;
        problems += file.replay.problems;
        file_close(&file);
    }
    closedir(directory);
    print_message("%u profiles and %u vectors replayed, %u problems\n", profiles, vectors, problems);
    assert_int_equal(problems, 0);
    assert_true(profiles >= PROFILES_LEAST);
    assert_true(vectors >= VECTORS_LEAST);
}

static void wrong_vectors_are_complained_about(void **state) {
    (void)state;
    static struct file file;
    assert_int_equal(file_open(&file, TESTS_DIR "/vectors/profile-wrong.yaml", "profile-wrong"), ERR_OK);
    assert_non_null(file.profile);
    file.replay.quiet = true;
    const struct node *vectors = node_get(file.source.root, "vectors");
    assert_non_null(vectors);
    unsigned count = 0;
    for (const struct node *vector = vectors->first; vector; vector = vector->next, count++) {
        const struct node *expected = node_get(vector, "expect");
        assert_non_null(expected);
        replay_vector(&file.replay, vector);
        if (!strstr(file.replay.first_problem, expected->text))
            fail_msg("line %u: expected '%s', but the replay said '%s'", vector->line, expected->text, file.replay.first_problem);
    }
    assert_true(count >= 15);
    file_close(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_proves_itself),
        cmocka_unit_test(wrong_vectors_are_complained_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
