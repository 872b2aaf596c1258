/* SPDX-License-Identifier: Apache-2.0 */
/* A recording comes from elsewhere and may be anything. The names of its files are names (no path leads out of the folder they are
 * unpacked in), and that folder is gone when the configuration is loaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/commands/replay.h"

#define PATH_SIZE 512
#define FILE_SIZE_MAX (INT64_C(1) << 31)

static bool slurp(const char *path, struct replay_file *file) {
    FILE *stream = fopen(path, "re");
    struct stat status;
    if (!stream)
        return false;
    errno = 0;
    if (fstat(fileno(stream), &status) == 0 && S_ISREG(status.st_mode) && status.st_size < FILE_SIZE_MAX) {
        file->bytes = malloc((size_t)status.st_size + 1);
        file->size = file->bytes ? fread(file->bytes, 1, (size_t)status.st_size, stream) : 0;
    } else if (!errno) {
        errno = EINVAL;
    }
    fclose(stream);
    return file->bytes != NULL;
}

/* Past HEAD, FILEs, START and LINKs: to the first frame of another kind. */
static bool find_steps(struct replay_file *file) {
    struct bytes_reader reader, body;
    enum frame_kind kind;
    bool damaged, start = false;
    if (file->size < RECORD_MAGIC_SIZE || memcmp(file->bytes, RECORD_MAGIC, RECORD_MAGIC_SIZE) != 0)
        return false;
    bytes_reader_init(&reader, file->bytes, file->size);
    reader.position = RECORD_MAGIC_SIZE;
    if (!frame_get(&reader, &kind, &body, &damaged) || kind != FRAME_HEAD || !record_head_get(&body, &file->head))
        return false;
    for (file->steps = reader; frame_get(&reader, &kind, &body, &damaged); file->steps = reader) {
        if (kind != FRAME_FILE && kind != FRAME_START && kind != FRAME_LINK)
            break;
        start = start || kind == FRAME_START;
    }
    file->steps.failed = false;
    return start;
}

bool replay_file_try(const char *path, struct replay_file *ret_file) {
    *ret_file = (struct replay_file){.bytes = NULL};
    if (slurp(path, ret_file) && find_steps(ret_file))
        return true;
    replay_file_free(ret_file);
    return false;
}

bool replay_file_read(const char *path, struct replay_file *ret_file) {
    *ret_file = (struct replay_file){.bytes = NULL};
    if (!slurp(path, ret_file)) {
        fprintf(stderr, "yanhuo replay: %s cannot be read: %s\n", path, strerror(errno));
        return false;
    }
    if (find_steps(ret_file))
        return true;
    fprintf(stderr, "yanhuo replay: %s is no recording of `yanhuo run --record`, or its beginning is damaged\n", path);
    replay_file_free(ret_file);
    return false;
}

void replay_file_free(struct replay_file *file) {
    free(file->bytes);
    file->bytes = NULL;
}

/* The frames of the anchor, one by one. */
static bool anchor_next(const struct replay_file *file, struct bytes_reader *reader, enum frame_kind *ret_kind, struct bytes_reader *ret_body) {
    bool damaged;
    if (!reader->bytes) {
        bytes_reader_init(reader, file->bytes, file->steps.position);
        reader->position = RECORD_MAGIC_SIZE;
    }
    return frame_get(reader, ret_kind, ret_body, &damaged);
}

/* ---- the configuration ---- */

static bool file_path(const char *dir, enum config_file_kind kind, const char *name, char path[PATH_SIZE]) {
    static const char *const folders[] = {"", "profiles/", "profiles/rules/"};
    if (kind != CONFIG_FILE_SITE && !text_is_name(name))
        return false;
    int length = snprintf(path, PATH_SIZE, "%s/%s%s.yaml", dir, folders[kind], kind == CONFIG_FILE_SITE ? "gateway" : name);
    return length < PATH_SIZE;
}

static bool unpack_one(const char *dir, struct bytes_reader *body, bool write) {
    char name[NAME_SIZE], path[PATH_SIZE];
    uint8_t kind = bytes_get_u8(body);
    bytes_get_text(body, name, sizeof(name));
    if (body->failed || kind > CONFIG_FILE_RULES || !file_path(dir, (enum config_file_kind)kind, name, path))
        return false;
    if (!write)
        return unlink(path) == 0;
    FILE *stream = fopen(path, "wxe");
    if (!stream)
        return false;
    size_t size = body->size - body->position;
    bool written = fwrite(body->bytes + body->position, 1, size, stream) == size;
    return fclose(stream) == 0 && written;
}

static bool unpack(const struct replay_file *file, const char *dir, bool write) {
    struct bytes_reader reader = {.bytes = NULL}, body;
    enum frame_kind kind;
    bool done = true;
    while (anchor_next(file, &reader, &kind, &body))
        done = (kind != FRAME_FILE || unpack_one(dir, &body, write)) && done;
    return done;
}

static bool folders(const char *dir, bool make) {
    char profiles[PATH_SIZE], rules[PATH_SIZE];
    snprintf(profiles, sizeof(profiles), "%s/profiles", dir);
    snprintf(rules, sizeof(rules), "%s/profiles/rules", dir);
    if (make)
        return mkdir(profiles, 0700) == 0 && mkdir(rules, 0700) == 0;
    bool gone = rmdir(rules) == 0;
    gone = rmdir(profiles) == 0 && gone;
    return rmdir(dir) == 0 && gone;
}

static bool load(const struct replay_file *file, const char *dir, struct arena *arena, const struct config **ret_config) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    bool loaded = config_load_copy(dir, file->head.utc_offset_minutes, arena, &diagnostics, ret_config) == ERR_OK;
    if (!loaded) { /* warnings were the site's own business */
        diagnostics_print(&diagnostics, stderr);
        fprintf(stderr, "yanhuo replay: the recorded configuration (program %s) cannot be loaded by this program\n", file->head.version);
    }
    diagnostics_done(&diagnostics);
    return loaded;
}

bool replay_file_config(const struct replay_file *file, struct arena *arena, struct config *ret_config) {
    const char *temporary = getenv("TMPDIR");
    const struct config *config = NULL;
    char dir[PATH_SIZE / 2];
    int length = snprintf(dir, sizeof(dir), "%s/yanhuo-replay-XXXXXX", temporary && temporary[0] ? temporary : "/tmp");
    if (length >= (int)sizeof(dir) || !mkdtemp(dir)) {
        fprintf(stderr, "yanhuo replay: no folder can be made for the recorded configuration (%s); name another in TMPDIR\n", strerror(errno));
        return false;
    }
    bool unpacked = folders(dir, true) && unpack(file, dir, true);
    if (!unpacked)
        fprintf(stderr, "yanhuo replay: the recorded configuration cannot be unpacked in %s\n", dir);
    bool loaded = unpacked && load(file, dir, arena, &config);
    (void)unpack(file, dir, false);
    (void)folders(dir, false);
    if (!loaded)
        return false;
    *ret_config = *config; /* the hash is that of the file with its passwords, which stands in messages */
    memcpy(ret_config->hash, file->head.hash, sizeof(ret_config->hash));
    memcpy(ret_config->profiles_hash, file->head.profiles_hash, sizeof(ret_config->profiles_hash));
    return true;
}

/* ---- the start ---- */

bool replay_file_start(const struct replay_file *file, const struct config *config, struct arena *arena, struct event *ret_start) {
    struct bytes_reader reader = {.bytes = NULL}, body;
    enum frame_kind kind;
    while (anchor_next(file, &reader, &kind, &body))
        if (kind == FRAME_START && start_get(&body, config, arena, ret_start))
            return true;
    fprintf(stderr, "yanhuo replay: the recorded start does not belong to the recorded configuration: the file is damaged\n");
    return false;
}

void replay_file_links(const struct replay_file *file, const struct config *config, void (*take)(void *context, const struct event *up), void *context) {
    struct bytes_reader reader = {.bytes = NULL}, body;
    static struct event_room room;
    struct event event;
    enum frame_kind kind;
    while (anchor_next(file, &reader, &kind, &body))
        if (kind == FRAME_LINK && event_get(&body, &room, &event) && event.kind == EVENT_LINK_UP && event_fits(config, &event))
            take(context, &event);
}
