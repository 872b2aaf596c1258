/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's files are read a second time and must be what was loaded. A plain secret is found where its key stands: after
 * `password` or `hmac`, a colon, blanks and perhaps a quotation mark comes the secret itself, and becomes as many `x`. One that cannot be
 * found that way (written with escapes, in a block, through its key in quotes) would stand in the recording: then there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "gateway/io/record_state.h"

static bool read_file(const struct config_file *file, char **ret_bytes, size_t *ret_size) {
    FILE *stream = fopen(file->path, "re");
    char *bytes = stream ? malloc(CONFIG_FILE_SIZE + 1) : NULL;
    size_t size = bytes ? fread(bytes, 1, CONFIG_FILE_SIZE + 1, stream) : 0;
    bool ok = bytes && !ferror(stream) && size <= CONFIG_FILE_SIZE && fnv_add(FNV_START, bytes, size) == file->hash;
    if (stream)
        fclose(stream);
    if (!ok) {
        free(bytes);
        return false;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return true;
}

static size_t skip(const char *bytes, size_t size, size_t at, const char *set) {
    while (at < size && bytes[at] && strchr(set, bytes[at]))
        at++;
    return at;
}

/* How many times the secret stood behind its key. */
static unsigned blank(char *bytes, size_t size, const char *key, const char *secret) {
    size_t key_length = strlen(key), length = strlen(secret);
    unsigned count = 0;
    for (size_t i = 0; i + key_length < size; i++) {
        if (memcmp(bytes + i, key, key_length) != 0)
            continue;
        size_t at = skip(bytes, size, i + key_length, " \t\"'");
        if (at >= size || bytes[at] != ':')
            continue;
        at = skip(bytes, size, at + 1, " \t\r\n");
        at += at < size && (bytes[at] == '"' || bytes[at] == '\'');
        if (size - at < length || memcmp(bytes + at, secret, length) != 0)
            continue;
        memset(bytes + at, 'x', length);
        count++;
    }
    return count;
}

static bool stands(const char *bytes, size_t size, const char *secret) {
    return memmem(bytes, size, secret, strlen(secret)) != NULL;
}

/* Equal secrets are blanked together, with the first of them. A short one may stand anywhere by chance, as part of a word. */
static bool blank_all(const struct config *config, char *bytes, size_t size) {
    bool found = true;
    for (unsigned i = 0; i < config->uplinks_count; i++) {
        const char *secret = config->uplinks[i].mqtt.password_plain;
        bool first = secret != NULL && secret[0];
        for (unsigned k = 0; first && k < i; k++)
            first = !config->uplinks[k].mqtt.password_plain || strcmp(config->uplinks[k].mqtt.password_plain, secret) != 0;
        if (first)
            found = blank(bytes, size, "password", secret) && (strlen(secret) < 8 || !stands(bytes, size, secret)) && found;
    }
    const char *hmac = config->commands.hmac_plain;
    if (hmac && hmac[0])
        found = blank(bytes, size, "hmac", hmac) && (strlen(hmac) < 8 || !stands(bytes, size, hmac)) && found;
    return found;
}

static bool make_body(const struct config_file *file, const char *bytes, size_t size, struct record_config_file *ret_body) {
    struct bytes_writer writer;
    size_t room = size + strlen(file->name) + 32;
    ret_body->bytes = malloc(room);
    if (!ret_body->bytes)
        return false;
    bytes_writer_init(&writer, ret_body->bytes, room);
    bytes_put_u8(&writer, (uint8_t)file->kind);
    bytes_put_text(&writer, file->name);
    bytes_put_raw(&writer, bytes, size);
    ret_body->size = writer.length;
    return !writer.full;
}

bool record_config_read(const struct config *config, struct record_config *ret_files, char ret_why[200]) {
    unsigned count = 0;
    for (const struct config_file *file = config->files; file; file = file->next)
        count++;
    *ret_files = (struct record_config){.files = calloc(count + 1, sizeof(*ret_files->files))};
    if (!ret_files->files) {
        snprintf(ret_why, 200, "there is not enough memory");
        return false;
    }
    for (const struct config_file *file = config->files; file; file = file->next) {
        char *bytes;
        size_t size;
        if (!read_file(file, &bytes, &size)) {
            snprintf(ret_why, 200, "%.150s was changed since it was read", file->path);
            return false;
        }
        bool clean = file->kind != CONFIG_FILE_SITE || blank_all(config, bytes, size);
        bool made = clean && make_body(file, bytes, size, &ret_files->files[ret_files->count]);
        ret_files->count += ret_files->files[ret_files->count].bytes != NULL;
        free(bytes);
        if (!made) {
            snprintf(ret_why, 200, "%s", clean ? "there is not enough memory" : "a password or key stands in the configuration and cannot be blanked out; use {credential: NAME}");
            return false;
        }
    }
    return true;
}

void record_config_free(struct record_config *files) {
    for (unsigned i = 0; i < files->count; i++)
        free(files->files[i].bytes);
    free(files->files);
    *files = (struct record_config){.files = NULL};
}
