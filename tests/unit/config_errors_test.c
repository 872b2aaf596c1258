/* SPDX-License-Identifier: Apache-2.0 */
/* Every wrong file of tests/vectors/config against the exact messages beside it (NAME.yaml, NAME.expected), the files that
 * only a test can make (huge, a folder, unreadable), and a small mutation loop. With YANHUO_UPDATE=1 in the environment the
 * expectations are written anew; read the difference before it is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "config/load.h"
#include "config/profile.h"

#define VECTORS TESTS_DIR "/vectors/config/"
#define PROFILES VECTORS "profiles"
#define WRONG_MIN 180
#define MUTATIONS 1500
#define MUTANT_SIZE 16384
#define MANY_SIZE (1024 * 1024)

/* What `yanhuo check` would print, with the folder taken off the file names. */
static char *messages_of(const char *path, enum err *ret_err) {
    struct diagnostics *diagnostics = malloc(sizeof(*diagnostics));
    struct arena arena;
    const struct config *config;
    char *printed = NULL, *stripped, *from, *found;
    size_t size;
    diagnostics_init(diagnostics);
    arena_init(&arena);
    *ret_err = config_load(path, PROFILES, &arena, diagnostics, &config);
    assert_int_equal(*ret_err == ERR_OK, diagnostics->errors == 0);
    assert_int_equal(*ret_err == ERR_OK, config != NULL);
    FILE *memory = open_memstream(&printed, &size);
    diagnostics_print(diagnostics, memory);
    fclose(memory);
    stripped = calloc(1, size + 1);
    for (from = printed; (found = strstr(from, VECTORS)); from = found + strlen(VECTORS))
        strncat(stripped, from, (size_t)(found - from));
    strcat(stripped, from);
    free(printed);
    arena_done(&arena);
    diagnostics_done(diagnostics);
    free(diagnostics);
    return stripped;
}

static char *read_whole(const char *path, size_t *ret_size) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *bytes = calloc(1, MUTANT_SIZE * 8);
    *ret_size = fread(bytes, 1, MUTANT_SIZE * 8 - 1, file);
    fclose(file);
    return bytes;
}

static int is_yaml(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

static void every_wrong_file_gets_its_messages(void **state) {
    (void)state;
    struct dirent **entries;
    int count = scandir(VECTORS, &entries, is_yaml, alphasort), wrong = 0, differing = 0;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[1024], beside[1024];
        size_t size;
        enum err err;
        snprintf(path, sizeof(path), VECTORS "%s", entries[i]->d_name);
        snprintf(beside, sizeof(beside), VECTORS "%.*s.expected", (int)strlen(entries[i]->d_name) - 5, entries[i]->d_name);
        char *messages = messages_of(path, &err);
        if (getenv("YANHUO_UPDATE")) {
            FILE *file = fopen(beside, "wb");
            assert_non_null(file);
            fputs(messages, file);
            fclose(file);
        }
        char *expected = read_whole(beside, &size);
        if (!expected || strcmp(messages, expected) != 0) {
            differing++;
            print_error("%s\n--- expected\n%s--- got\n%s", entries[i]->d_name, expected ? expected : "(no file)\n", messages);
        }
        wrong += err != ERR_OK;
        free(expected);
        free(messages);
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(differing, 0);
    assert_true(wrong >= WRONG_MIN);
}

static void expect(const char *path, const char *end) {
    enum err err;
    char *messages = messages_of(path, &err);
    assert_int_equal(err, ERR_SYNTAX);
    const char *newline = strchr(messages, '\n');
    if (!strstr(messages, end) || !newline || newline[1])
        fail_msg("expected one line with '%s', got: %s", end, messages);
    free(messages);
}

static void what_is_no_file_gets_one_line(void **state) {
    (void)state;
    char folder[] = "/tmp/yanhuo-config-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    expect(folder, "error: is a folder; name the file inside it");
    expect("/no/such/file.yaml", "error: cannot be read: No such file or directory");
    expect("/dev/null", "error: is not a regular file");
    snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect(path, "error: is not a regular file");
    unlink(path);
    snprintf(path, sizeof(path), "%s/secret.yaml", folder);
    FILE *file = fopen(path, "w");
    fputs("gateway: {id: g}\n", file);
    fclose(file);
    assert_int_equal(chmod(path, 0), 0);
    bool root = geteuid() == 0; /* who reads everything, and so becomes nobody for a moment */
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    expect(path, "error: cannot be read: Permission denied");
    assert_int_equal(root ? seteuid(0) : 0, 0);
    unlink(path);
    rmdir(folder);
}

/* A memory file has a path of its own and costs no disk. */
static int memory_file(const char *bytes, size_t size, char ret_path[64]) {
    int fd = memfd_create("config", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void a_huge_file_gets_one_line(void **state) {
    (void)state;
    char path[64], *bytes = malloc(10 * 1000 * 1000);
    memset(bytes, 'a', 10 * 1000 * 1000);
    int fd = memory_file(bytes, 10 * 1000 * 1000, path);
    expect(path, "error: has 10000000 bytes; at most 4194304 are read");
    close(fd);
    free(bytes);
}

/* A hundred thousand keys: nothing may take time in the square of their number (the limit of the test run would end it). */
static void many_keys_are_read_in_time(void **state) {
    (void)state;
    static const char *const lines[] = {"k%u: 1\n", "places: {p%u: {}}\n", "- %u\n"};
    for (size_t form = 0; form < 3; form++) {
        char path[64], *bytes = malloc(MANY_SIZE + 64);
        size_t size = 0;
        for (unsigned i = 0; size < MANY_SIZE; i++)
            size += (size_t)snprintf(bytes + size, 64, lines[form], i);
        int fd = memory_file(bytes, size, path);
        enum err err;
        free(messages_of(path, &err));
        assert_int_not_equal(err, ERR_OK);
        close(fd);
        free(bytes);
    }
}

static size_t mutate(struct prng *prng, char *bytes, size_t size, const char *other, size_t other_size) {
    static const char *const pieces[] = {"{", "}",   "[",  "]",    ": ",  ", ", "\n", "  ", "-",    "\"",
                                         "'", "&a ", "*a", "<<: ", "!x ", "|",  "%",  "0",  "\xff", "\t"};
    for (unsigned i = 0, count = 1 + (unsigned)prng_below(prng, 4); i < count && size; i++) {
        size_t at = prng_below(prng, size), length = 1 + prng_below(prng, 24);
        const char *piece = pieces[prng_below(prng, sizeof(pieces) / sizeof(pieces[0]))];
        switch (prng_below(prng, 5)) {
        case 0: /* another byte */
            bytes[at] = (char)prng_next(prng);
            continue;
        case 1: /* some bytes less */
            length = length < size - at ? length : size - at;
            memmove(bytes + at, bytes + at + length, size - at - length);
            size -= length;
            continue;
        case 2: /* the end less */
            size = at;
            continue;
        case 3: /* a piece of YAML more */
            length = strlen(piece);
            break;
        default: /* a piece of another file more */
            if (!other_size)
                continue;
            piece = other + prng_below(prng, other_size);
            length = length < (size_t)(other + other_size - piece) ? length : (size_t)(other + other_size - piece);
            break;
        }
        if (size + length > MUTANT_SIZE)
            continue;
        memmove(bytes + at + length, bytes + at, size - at);
        memcpy(bytes + at, piece, length);
        size += length;
    }
    return size;
}

static void try_mutant(const char *bytes, size_t size, bool profile) {
    char path[64];
    int fd = memory_file(bytes, size, path);
    if (profile) {
        struct diagnostics *diagnostics = malloc(sizeof(*diagnostics));
        struct profile *unused;
        struct arena arena;
        arena_init(&arena);
        diagnostics_init(diagnostics);
        enum err err = profile_load(path, "meter", &arena, diagnostics, &unused);
        assert_int_equal(err == ERR_OK, diagnostics->errors == 0);
        diagnostics_done(diagnostics);
        free(diagnostics);
        arena_done(&arena);
    } else {
        enum err err;
        free(messages_of(path, &err));
    }
    close(fd);
}

static void mutants_are_answered(void **state) {
    (void)state;
    static const char *const folders[] = {VECTORS, VECTORS "good/", VECTORS "profiles/"};
    static char *files[512];
    static size_t sizes[512];
    size_t count = 0, profiles_from = 0;
    for (size_t folder = 0; folder < 3; folder++) {
        struct dirent **entries;
        int found = scandir(folders[folder], &entries, is_yaml, alphasort);
        profiles_from = count;
        for (int i = 0; i < found; i++) {
            char path[1024];
            snprintf(path, sizeof(path), "%s%s", folders[folder], entries[i]->d_name);
            if (count < 512 && (files[count] = read_whole(path, &sizes[count])))
                count++;
            free(entries[i]);
        }
        free(entries);
    }
    struct prng prng;
    prng_init(&prng, 20261123);
    char *mutant = malloc(MUTANT_SIZE);
    const char *more = getenv("YANHUO_MUTATIONS");
    for (long i = 0, most = more ? atol(more) : MUTATIONS; i < most; i++) {
        /* every third is a mutant of the one file in which everything is right, the others of any */
        size_t from = i % 3 == 0 ? profiles_from - 1 : prng_below(&prng, count), other = prng_below(&prng, count);
        size_t size = sizes[from] < MUTANT_SIZE ? sizes[from] : MUTANT_SIZE;
        memcpy(mutant, files[from], size);
        size = mutate(&prng, mutant, size, files[other], sizes[other]);
        try_mutant(mutant, size, from >= profiles_from);
    }
    free(mutant);
    while (count)
        free(files[--count]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_file_gets_its_messages),
        cmocka_unit_test(what_is_no_file_gets_one_line),
        cmocka_unit_test(a_huge_file_gets_one_line),
        cmocka_unit_test(many_keys_are_read_in_time),
        cmocka_unit_test(mutants_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
