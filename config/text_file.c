/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to clean text. Whatever stands at the path (a folder, a pipe, ten megabytes, a photo) gets one sentence, at
 * once: nothing here can block or read without bound. */
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fnv.h"
#include "base/text.h"

#define TABS_TOLD_MAX 20 /* lines with tabs that are told one by one */

static void tell(struct source *source, unsigned line, unsigned column, const char *text) {
    diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, source->path, line, column, "%s", text);
}

static int open_regular(struct source *source, size_t *ret_size) {
    int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, source->path, 0, 0, "cannot be read: %s", strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        tell(source, 0, 0, "is a folder; name the file inside it");
    } else if (!S_ISREG(status.st_mode)) {
        tell(source, 0, 0, "is not a regular file");
    } else if (status.st_size > CONFIG_FILE_SIZE) {
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, source->path, 0, 0, "has %lld bytes; at most %d are read", (long long)status.st_size,
                        CONFIG_FILE_SIZE);
    } else {
        *ret_size = (size_t)status.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool read_all(int fd, char *bytes, size_t size, size_t *ret_length) {
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, bytes + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    *ret_length = length;
    return true;
}

/* The bytes up to the first that is not UTF-8, by trying halves: text_is_utf8 says yes or no only. A character that a half
 * cuts in two is given back its at most three last bytes. */
static size_t valid_prefix(const char *bytes, size_t size) {
    size_t good = 0;
    while (good < size) {
        size_t end = good;
        while (end < size && bytes[end] != '\n')
            end++;
        if (!text_is_utf8(bytes + good, end - good))
            break;
        good = end < size ? end + 1 : end;
    }
    while (good < size) {
        size_t length = 1;
        while (length <= 4 && good + length <= size && !text_is_utf8(bytes + good, length))
            length++;
        if (length > 4 || good + length > size)
            break;
        good += length;
    }
    return good;
}

static void place_of(const char *bytes, size_t offset, unsigned *ret_line, unsigned *ret_column) {
    *ret_line = *ret_column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (bytes[i] == '\n') {
            (*ret_line)++;
            *ret_column = 1;
        } else if (((unsigned char)bytes[i] & 0xC0) != 0x80) {
            (*ret_column)++;
        }
    }
}

/* Control characters other than the ends of lines and tabs have no business in a configuration. */
static size_t first_control(const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if ((byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || byte == 0x7f)
            return i;
    }
    return size;
}

static bool indented_with_tabs(struct source *source, const char *bytes, size_t size) {
    unsigned line = 1, told = 0;
    for (size_t start = 0; start < size; line++) {
        size_t at = start, tab = 0, end;
        while (at < size && (bytes[at] == ' ' || bytes[at] == '\t')) {
            if (bytes[at] == '\t' && !tab)
                tab = at - start + 1;
            at++;
        }
        for (end = at; end < size && bytes[end] != '\n'; end++)
            ;
        bool blank = end == at || bytes[at] == '\r' || bytes[at] == '#';
        if (tab && !blank && told++ < TABS_TOLD_MAX)
            tell(source, line, (unsigned)tab, "a tab stands in the indentation; YAML is indented with spaces only: replace it by spaces");
        start = end + 1;
    }
    if (told > TABS_TOLD_MAX)
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, source->path, 0, 0, "%u more lines are indented with tabs", told - TABS_TOLD_MAX);
    return told > 0;
}

static bool is_clean(struct source *source, const char *bytes, size_t size) {
    unsigned line, column;
    if (size == 0) {
        tell(source, 0, 0, "the file is empty; the least it needs is 'gateway: {id: NAME}'");
        return false;
    }
    size_t nul = strnlen(bytes, size), utf8 = valid_prefix(bytes, size);
    if (nul < size || utf8 < size) {
        bool first_nul = nul < utf8;
        place_of(bytes, first_nul ? nul : utf8, &line, &column);
        tell(source, line, column,
             first_nul ? "a zero byte stands here: this is no text file"
                       : "what stands here is not UTF-8: save the file with the encoding UTF-8 (or is it no text file?)");
        return false;
    }
    size_t control = first_control(bytes, size);
    if (control < size) {
        place_of(bytes, control, &line, &column);
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, source->path, line, column,
                        "a control character (0x%02X) stands here: remove it, or check that this is a text file",
                        (unsigned)(unsigned char)bytes[control]);
        return false;
    }
    return !indented_with_tabs(source, bytes, size);
}

char *text_file_read(struct source *source, size_t *ret_size) {
    size_t size, length;
    int fd = open_regular(source, &size);
    if (fd < 0)
        return NULL;
    char *bytes = arena_take(source->arena, size + 1, 1);
    bool read_ok = read_all(fd, bytes, size, &length);
    if (!read_ok)
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, source->path, 0, 0, "cannot be read: %s", strerror(errno));
    close(fd);
    if (!read_ok || !is_clean(source, bytes, length))
        return NULL;
    source->hash = fnv_add(FNV_START, bytes, length);
    size_t mark = length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* some editors begin a UTF-8 file with it */
    *ret_size = length - mark;
    return bytes + mark;
}
