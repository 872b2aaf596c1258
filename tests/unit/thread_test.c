/* SPDX-License-Identifier: Apache-2.0 */
/* Which signals a thread beside the loop can be sent: none that is for the loop, and those of its own faults, which last_words.c tells of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <signal.h>

#include <cmocka.h>

#include "base/thread.h"

static void *mask_of(void *context) {
    pthread_sigmask(SIG_SETMASK, NULL, context);
    return NULL;
}

static void faults_are_its_own(void **state) {
    (void)state;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL}, others[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGPIPE};
    pthread_t thread;
    sigset_t mask, before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    sigfillset(&mask);
    assert_true(thread_start(&thread, mask_of, &mask, "mask"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        assert_int_equal(sigismember(&mask, faults[i]), 0);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(sigismember(&mask, others[i]), 1);
        assert_int_equal(sigismember(&after, others[i]), sigismember(&before, others[i])); /* the starter's own is as it was */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
