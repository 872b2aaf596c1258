/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one fuzz target without libFuzzer: every file of its corpus, then a fixed number of mutations of them, the same ones every
 * time (the seed is the target's name and the number of the run).
 *
 *   fuzz_NAME          the corpus, then FUZZ_RUNS mutations, or as many as YANHUO_FUZZ in the environment says
 *   fuzz_NAME FILE...  these inputs only
 *
 * The inputs are run by a child, and the one at work stands in memory that both share. However the child ends (a property, a
 * sanitizer, a signal, too many seconds on one input), the parent writes that input to fuzz_NAME.input in its working folder, prints
 * the command that runs it again, and fails. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/text.h"
#include "fuzz.h"

#define INPUT_SIZE 32768
#define CORPUS_MAX 256
#define PATH_SIZE 1024
#define SECONDS_MAX 20 /* for one input, unless YANHUO_FUZZ_SECONDS says another number */

struct shared {
    size_t size;
    uint64_t run;     /* 0: a file */
    unsigned seconds; /* for one input */
    bool finished;
    char file[PATH_SIZE];
    uint8_t bytes[INPUT_SIZE];
};

struct corpus {
    size_t count;
    uint8_t *bytes[CORPUS_MAX];
    size_t sizes[CORPUS_MAX];
    char *paths[CORPUS_MAX];
};

/* ---- the corpus ---- */

static bool corpus_add(struct corpus *corpus, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || corpus->count == CORPUS_MAX) {
        fprintf(stderr, "%s: %s\n", path, file ? "one file too many in the corpus" : strerror(errno));
        return false;
    }
    uint8_t *bytes = malloc(INPUT_SIZE + 1);
    size_t size = fread(bytes, 1, INPUT_SIZE + 1, file);
    fclose(file);
    if (size > INPUT_SIZE) {
        fprintf(stderr, "%s: has more than %d bytes; use a smaller input\n", path, INPUT_SIZE);
        free(bytes);
        return false;
    }
    corpus->bytes[corpus->count] = bytes;
    corpus->sizes[corpus->count] = size;
    corpus->paths[corpus->count++] = strdup(path);
    return true;
}

static int is_input(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static bool corpus_read(struct corpus *corpus, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, is_input, alphasort);
    bool ok = count > 0;
    if (!ok)
        fprintf(stderr, "%s: there is no corpus; a target needs at least one input\n", folder);
    for (int i = 0; i < count; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        ok = corpus_add(corpus, path) && ok;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return ok;
}

static void corpus_done(struct corpus *corpus) {
    for (size_t i = 0; i < corpus->count; i++) {
        free(corpus->bytes[i]);
        free(corpus->paths[i]);
    }
}

/* ---- mutations ---- */

static size_t replace(uint8_t *bytes, size_t size, size_t at, size_t less, const uint8_t *more, size_t more_size) {
    less = less < size - at ? less : size - at;
    if (size - less + more_size > INPUT_SIZE)
        return size;
    memmove(bytes + at + more_size, bytes + at + less, size - at - less);
    if (more_size > 0)
        memcpy(bytes + at, more, more_size);
    return size - less + more_size;
}

static size_t mutate_once(struct prng *prng, uint8_t *bytes, size_t size, const uint8_t *other, size_t other_size) {
    static const uint8_t edges[] = {0x00, 0x01, 0x02, 0x03, 0x7F, 0x80, 0x81, 0xFE, 0xFF, '{', '"', '-', ' ', '\n'};
    size_t at = prng_below(prng, size + 1), length = 1 + prng_below(prng, prng_below(prng, 4) ? 4 : 32);
    uint8_t byte = prng_below(prng, 2) ? edges[prng_below(prng, sizeof(edges))] : (uint8_t)prng_next(prng);
    switch (prng_below(prng, 7)) {
    case 0: /* another byte */
        return replace(bytes, size, at, 1, &byte, 1);
    case 1: /* another bit */
        byte = (uint8_t)((at < size ? bytes[at] : 0) ^ 1 << prng_below(prng, 8));
        return replace(bytes, size, at, 1, &byte, 1);
    case 2: /* a byte more */
        return replace(bytes, size, at, 0, &byte, 1);
    case 3: /* some bytes less */
        return replace(bytes, size, at, length, NULL, 0);
    case 4: /* the end less */
        return prng_below(prng, 4) ? size : at;
    default: { /* a piece of another input, in place of some bytes or of none */
        size_t from = prng_below(prng, other_size + 1);
        length = length < other_size - from ? length : other_size - from;
        return replace(bytes, size, at, prng_below(prng, 2) ? length : 0, other + from, length);
    }
    }
}

static void mutate(const struct corpus *corpus, uint64_t run, struct shared *shared) {
    struct prng prng;
    prng_init(&prng, run * 0x9E3779B97F4A7C15u);
    for (const char *c = FUZZ_NAME; *c; c++)
        prng.state = prng_next(&prng) ^ (uint8_t)*c;
    size_t from = prng_below(&prng, corpus->count), other = prng_below(&prng, corpus->count);
    memcpy(shared->bytes, corpus->bytes[from], corpus->sizes[from]);
    size_t size = corpus->sizes[from];
    for (uint64_t i = 0, count = 1 + prng_below(&prng, 6); i < count; i++)
        size = mutate_once(&prng, shared->bytes, size, corpus->bytes[other], corpus->sizes[other]);
    shared->size = size;
    shared->run = run;
}

/* ---- running ---- */

/* From a copy of exactly its size, so that reading past its end is seen. */
static void run_one(const struct shared *shared) {
    uint8_t *copy = malloc(shared->size ? shared->size : 1);
    memcpy(copy, shared->bytes, shared->size);
    alarm(shared->seconds);
    (void)LLVMFuzzerTestOneInput(copy, shared->size);
    alarm(0);
    free(copy);
}

static void run_all(const struct corpus *corpus, uint64_t runs, struct shared *shared) {
    for (size_t i = 0; i < corpus->count; i++) {
        (void)text_copy(shared->file, sizeof(shared->file), corpus->paths[i]);
        memcpy(shared->bytes, corpus->bytes[i], corpus->sizes[i]);
        shared->size = corpus->sizes[i];
        run_one(shared);
    }
    for (uint64_t run = 1; run <= runs; run++) {
        mutate(corpus, run, shared);
        run_one(shared);
    }
    shared->finished = true;
}

static void tell_failure(const char *program, const struct shared *shared, int status) {
    char how[64], path[PATH_SIZE], folder[PATH_SIZE / 2] = ".";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(how, sizeof(how), "took more than %u s", shared->seconds);
    else if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "ended by signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(status));
    if (shared->finished) {
        fprintf(stderr, "fuzz_%s: every input passed, but the process %s (memory that was not given back?)\n", FUZZ_NAME, how);
        return;
    }
    if (shared->run == 0) {
        fprintf(stderr, "fuzz_%s: %s: %s. Again with:\n  %s %s\n", FUZZ_NAME, shared->file, how, program, shared->file);
        return;
    }
    (void)!getcwd(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/fuzz_%s.input", folder, FUZZ_NAME);
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(shared->bytes, 1, shared->size, file) == shared->size;
    written = file && fclose(file) == 0 && written;
    fprintf(stderr, "fuzz_%s: run %llu %s. Its input of %zu bytes %s. Again with:\n  %s %s\n", FUZZ_NAME, (unsigned long long)shared->run, how,
            shared->size, written ? "was written" : "COULD NOT BE WRITTEN", program, path);
}

/* A number from the environment; false when it is none. */
static bool wish(const char *name, uint64_t *number) {
    const char *text = getenv(name);
    if (!text || text_read_u64(text, number))
        return true;
    fprintf(stderr, "%s is '%s'; it must be a number\n", name, text);
    return false;
}

/* In a child, so that its end is seen however it comes. */
static int run_in_child(const struct corpus *corpus, uint64_t runs, struct shared *shared) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run_all(corpus, runs, shared);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        exit(2);
    }
    return status;
}

int main(int argc, char **argv) {
    static struct corpus corpus;
    uint64_t runs = FUZZ_RUNS, seconds = SECONDS_MAX;
    bool ok = wish("YANHUO_FUZZ", &runs) && wish("YANHUO_FUZZ_SECONDS", &seconds);
    if (argc == 1)
        ok = corpus_read(&corpus, FUZZ_CORPUS) && ok;
    for (int i = 1; i < argc; i++)
        ok = corpus_add(&corpus, argv[i]) && ok;
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rc = 2;
    if (ok && shared != MAP_FAILED) {
        runs = argc > 1 ? 0 : runs;
        shared->seconds = (unsigned)seconds;
        int status = run_in_child(&corpus, runs, shared);
        rc = status == 0 ? 0 : 1;
        if (status == 0)
            printf("fuzz_%s: %zu files and %llu mutations\n", FUZZ_NAME, corpus.count, (unsigned long long)runs);
        else
            tell_failure(argv[0], shared, status);
    }
    corpus_done(&corpus);
    return rc;
}
