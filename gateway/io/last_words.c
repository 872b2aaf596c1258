/* SPDX-License-Identifier: Apache-2.0 */
/* The page: line 1, padded, how it ended; line 2, padded, for which part; then what was late and the log's last lines; padded. It stands in
 * the file as if the process had been cut off without a word, so that a power cut, kill -9 and the out-of-memory killer are told too.
 *
 * Three write it, and none may be held up by another:
 *   the loop      composes into the frame that is not current, then makes it current; never touches the file: a disk that hangs is one
 *                 of the things to be told, and the loop waits for no disk
 *   the thread    copies the current frame under the lock and writes it; when it hangs in the disk nobody waits for it
 *   a handler     copies the current frame without a lock, puts the signal into line 1, writes: memory, clock_gettime, pwrite and
 *                 write only, all of them safe there. It sets an alarm first, so that a stuck disk cannot keep the process from dying
 *
 * A handler that is in place already (a sanitizer's, for faults) stays. */
#include "gateway/io/last_words.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/now.h"
#include "base/text.h"
#include "base/thread.h"

#define HANDLER_S 2 /* what a handler gives the disk */
#define PART_MARK "restarted for: "

static struct {
    int fd; /* -1: none */
    char path[4096];
    char frames[2][LAST_WORDS_SIZE];
    atomic_int current;
    pthread_mutex_t lock; /* between the loop and the thread */
    sem_t due;
    bool thread;
    char how[LAST_WORDS_HOW_SIZE], part[LAST_WORDS_PART_SIZE];
    _Atomic int64_t beat_us;
    char dying[LAST_WORDS_SIZE];
    atomic_flag dead;
} words = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .dead = ATOMIC_FLAG_INIT};

/* A line of exactly `size` bytes with its end. */
static void put_line(char *at, size_t size, const char *text) {
    size_t length = strlen(text);
    memset(at, ' ', size);
    memcpy(at, text, length < size ? length : size - 1);
    at[size - 1] = '\n';
}

static void compose(const char *text) {
    int other = !atomic_load(&words.current);
    char *frame = words.frames[other];
    size_t length = strlen(text), room = LAST_WORDS_TEXT_SIZE - 1;
    pthread_mutex_lock(&words.lock);
    put_line(frame, LAST_WORDS_HOW_SIZE, words.how);
    put_line(frame + LAST_WORDS_HOW_SIZE, LAST_WORDS_PART_SIZE, words.part);
    put_line(frame + LAST_WORDS_HOW_SIZE + LAST_WORDS_PART_SIZE, LAST_WORDS_TEXT_SIZE, "");
    memcpy(frame + LAST_WORDS_HOW_SIZE + LAST_WORDS_PART_SIZE, text, length < room ? length : room);
    atomic_store(&words.current, other);
    pthread_mutex_unlock(&words.lock);
}

/* ---- the handlers ---- */

static const char *signal_word(int number) {
    switch (number) {
    case SIGABRT:
        return "SIGABRT (the watchdog, or a mistake it found in itself)";
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGILL:
        return "SIGILL";
    default:
        return "a signal";
    }
}

static void on_death(int number) {
    if (!atomic_flag_test_and_set(&words.dead)) {
        char how[LAST_WORDS_HOW_SIZE - 1];
        struct text text;
        int64_t beat_us = atomic_load(&words.beat_us), silent_ms = beat_us ? (now_mono_us() - beat_us) / 1000 : 0;
        signal(SIGALRM, SIG_DFL);
        alarm(HANDLER_S);
        text_init(&text, how, sizeof(how));
        text_add(&text, number == SIGALRM ? "killed by its own watchdog: the loop, or the way down, hung" : "killed by ");
        text_add(&text, number == SIGALRM ? "" : signal_word(number));
        text_add(&text, beat_us ? ", " : ", before the loop began");
        if (beat_us) {
            text_add_s64(&text, silent_ms);
            text_add(&text, " ms after the loop's last beat");
        }
        memcpy(words.dying, words.frames[atomic_load(&words.current)], LAST_WORDS_SIZE);
        put_line(words.dying, LAST_WORDS_HOW_SIZE, how);
        if (write(STDERR_FILENO, words.dying, LAST_WORDS_HOW_SIZE) < 0 || (words.fd >= 0 && pwrite(words.fd, words.dying, LAST_WORDS_SIZE, 0) < 0)) {
            /* nothing is left to be done about it */
        }
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void handle(int number) {
    struct sigaction action, before;
    if (sigaction(number, NULL, &before) != 0 || before.sa_handler != SIG_DFL)
        return;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_death;
    action.sa_flags = SA_NODEFER;
    sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

/* ---- the thread ---- */

static void *write_out(void *context) {
    static char page[LAST_WORDS_SIZE];
    (void)context;
    for (;;) {
        while (sem_wait(&words.due) != 0) {
        }
        while (sem_trywait(&words.due) == 0) { /* what was asked for meanwhile is the same */
        }
        pthread_mutex_lock(&words.lock);
        memcpy(page, words.frames[atomic_load(&words.current)], sizeof(page));
        pthread_mutex_unlock(&words.lock);
        if (pwrite(words.fd, page, sizeof(page), 0) == (ssize_t)sizeof(page))
            (void)fdatasync(words.fd);
    }
    return NULL;
}

static void begin_writing(void) {
    pthread_t thread;
    words.thread = sem_init(&words.due, 0, 0) == 0 && thread_start(&thread, write_out, NULL, LAST_WORDS_NAME);
    if (words.thread)
        pthread_detach(thread); /* it may hang in the disk: nobody waits for it */
}

/* ---- life ---- */

/* The line at `*at` without its padding; moves on behind it. */
static void take_line(const char **at, char *line, size_t size) {
    size_t length = strcspn(*at, "\n"), kept = length;
    while (kept > 0 && (*at)[kept - 1] == ' ')
        kept--;
    kept = kept < size ? kept : size - 1;
    memcpy(line, *at, kept);
    line[kept] = '\0';
    *at += length + ((*at)[length] == '\n');
}

static void read_before(struct last_words_before *before) {
    char page[LAST_WORDS_SIZE + 1], part[LAST_WORDS_PART_SIZE];
    ssize_t size = words.fd >= 0 ? pread(words.fd, page, LAST_WORDS_SIZE, 0) : 0;
    *before = (struct last_words_before){.any = size > LAST_WORDS_HOW_SIZE + LAST_WORDS_PART_SIZE};
    if (!before->any)
        return;
    page[size] = '\0';
    if (!text_is_utf8(page, strlen(page))) { /* damaged with the disk, or cut within a word */
        (void)text_copy(before->how, sizeof(before->how), "its last words cannot be read");
        return;
    }
    const char *at = page;
    take_line(&at, before->how, sizeof(before->how));
    take_line(&at, part, sizeof(part));
    if (strncmp(part, PART_MARK, sizeof(PART_MARK) - 1) == 0)
        (void)text_copy(before->part, sizeof(before->part), part + sizeof(PART_MARK) - 1);
    (void)text_copy(before->text, sizeof(before->text), at);
    for (size_t length = strlen(before->text); length && strchr(" \n", before->text[length - 1]); length--)
        before->text[length - 1] = '\0';
}

void last_words_open(const char *state_dir, struct last_words_before *ret_before) {
    static const int signals[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    CHECK(words.fd < 0);
    (void)text_copy(words.how, sizeof(words.how), "ended without a word: power cut, kill -9 or out of memory");
    words.part[0] = '\0';
    int length = snprintf(words.path, sizeof(words.path), "%s/" LAST_WORDS_NAME, state_dir);
    if (length > 0 && length < (int)sizeof(words.path))
        words.fd = open(words.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    read_before(ret_before);
    compose("");
    if (words.fd >= 0 && !words.thread)
        begin_writing();
    for (unsigned i = 0; i < ARRAY_COUNT(signals); i++)
        handle(signals[i]);
}

void last_words_say(const char *text, bool write) {
    compose(text);
    if (write && words.fd >= 0 && words.thread)
        (void)sem_post(&words.due);
}

void last_words_beat(unsigned loop_s) {
    atomic_store(&words.beat_us, now_mono_us());
    (void)alarm(loop_s);
}

void last_words_restart(const char *part) {
    (void)snprintf(words.how, sizeof(words.how), "it ended itself to be started anew, because %s was stuck and nothing else helped", part);
    (void)snprintf(words.part, sizeof(words.part), PART_MARK "%s", part);
}

void last_words_close(bool keep) {
    const char *page = words.frames[atomic_load(&words.current)];
    if (words.fd >= 0 && !keep)
        (void)unlink(words.path);
    if (words.fd >= 0 && keep && words.part[0] && pwrite(words.fd, page, LAST_WORDS_SIZE, 0) == LAST_WORDS_SIZE) /* a stuck disk meets the alarm */
        (void)fdatasync(words.fd);
    if (!keep)
        (void)alarm(0);
}
