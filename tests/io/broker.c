/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void pause_ms(long ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int loopback_connect(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Below the range from which the system takes ports by itself, so that nobody gets it while the broker is down. */
uint16_t broker_free_port(void) {
    static unsigned calls;
    unsigned start = (unsigned)getpid() * 7919u + calls++ * 101u;
    for (unsigned i = 0; i < 20000; i++) {
        uint16_t port = (uint16_t)(10000 + (start + i) % 20000);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (is_free)
            return port;
    }
    fail_msg("no free port on 127.0.0.1");
    return 0;
}

/* Waits for the end of the test (or for broker_done, which lets go of the pipe), then removes the folder. */
static void guard_run(int fd, const char *folder) {
    char byte;
    setsid(); /* what ends the test's whole group, as a time-out does, must not end the guard */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    while (read(fd, &byte, 1) > 0) {
    }
    execlp("rm", "rm", "-rf", "--", folder, (char *)NULL);
    _exit(127);
}

void broker_init(struct broker *broker) {
    int fds[2];
    const char *base = getenv("TMPDIR");
    memset(broker, 0, sizeof *broker);
    snprintf(broker->folder, sizeof broker->folder, "%.30s/yanhuo-broker-XXXXXX", base && strlen(base) <= 30 ? base : "/tmp");
    assert_non_null(mkdtemp(broker->folder));
    broker->port = broker_free_port();
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    broker->guard = fork();
    assert_true(broker->guard >= 0);
    if (broker->guard == 0) {
        close(fds[1]);
        guard_run(fds[0], broker->folder);
    }
    close(fds[0]);
    broker->guard_fd = fds[1];
}

void broker_done(struct broker *broker) {
    if (broker->pid) {
        kill(broker->pid, SIGKILL);
        waitpid(broker->pid, NULL, 0);
        broker->pid = 0;
    }
    if (broker->guard) {
        close(broker->guard_fd);
        waitpid(broker->guard, NULL, 0);
        broker->guard = 0;
    }
}

const char *broker_path(struct broker *broker, const char *name) {
    char *path = broker->path[broker->path_next++ % 8];
    snprintf(path, sizeof broker->path[0], "%s/%s", broker->folder, name);
    return path;
}

void broker_write(struct broker *broker, const char *name, const char *text) {
    FILE *file = fopen(broker_path(broker, name), "we");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

void broker_run(struct broker *broker, const char *command) {
    char line[2048];
    snprintf(line, sizeof line, "cd '%s' && (%s) >run.log 2>&1", broker->folder, command);
    int status = system(line);
    if (status != 0)
        fail_msg("status %d of: %s", status, line);
}

void broker_password(struct broker *broker, const char *user, const char *password) {
    char command[256];
    snprintf(command, sizeof command, "mosquitto_passwd -b -c passwords '%s' '%s'", user, password);
    broker_run(broker, command);
}

void broker_certificates(struct broker *broker) {
    broker_run(broker, "key() { openssl ecparam -genkey -name prime256v1 -noout -out $1.key; }\n"
                       "authority() { key $1 && openssl req -x509 -new -key $1.key -subj /CN=$1 -days 2 -out $1.pem; }\n"
                       "signed_for() { key $1 && openssl req -new -key $1.key -subj /CN=$1 -out $1.csr && echo subjectAltName=$2 > $1.ext &&\n"
                       "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
                       "set -e; authority ca; authority other-ca; signed_for server DNS:localhost,IP:127.0.0.1\n"
                       "signed_for wrong DNS:wrong.example; signed_for client DNS:client");
}

static bool broker_launch(struct broker *broker) {
    broker->pid = fork();
    assert_true(broker->pid >= 0);
    if (broker->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int log = open(broker_path(broker, "mosquitto.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        setenv("PATH", "/usr/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin", 1);
        execlp("mosquitto", "mosquitto", "-c", broker_path(broker, "mosquitto.conf"), (char *)NULL);
        _exit(127);
    }
    for (unsigned tries = 0; tries < 1000; tries++) {
        int fd = loopback_connect(broker->port);
        if (fd >= 0) {
            close(fd);
            pause_ms(10); /* one that found its port taken ends now, and somebody else answered */
            if (waitpid(broker->pid, NULL, WNOHANG) == 0)
                return true;
            break;
        }
        if (waitpid(broker->pid, NULL, WNOHANG) == broker->pid)
            break;
        pause_ms(10);
    }
    broker->pid = 0;
    return false;
}

void broker_start(struct broker *broker, const char *lines) {
    char text[4096];
    snprintf(text, sizeof text, "%spersistence false\nlog_dest stderr\nlog_type all\nlistener %u 127.0.0.1\n%s", geteuid() == 0 ? "user root\n" : "",
             (unsigned)broker->port, lines ? lines : "allow_anonymous true\n");
    broker_write(broker, "mosquitto.conf", text);
    broker_restart(broker);
}

void broker_restart(struct broker *broker) {
    assert_int_equal(broker->pid, 0);
    if (!broker_launch(broker)) {
        char command[160];
        snprintf(command, sizeof command, "cat '%s'", broker_path(broker, "mosquitto.log"));
        (void)!system(command);
        fail_msg("mosquitto did not start; is it installed?");
    }
}

static void broker_end(struct broker *broker, int signal_number) {
    assert_true(broker->pid > 0);
    kill(broker->pid, signal_number);
    kill(broker->pid, SIGCONT);
    waitpid(broker->pid, NULL, 0);
    broker->pid = 0;
}

void broker_stop(struct broker *broker) {
    broker_end(broker, SIGTERM);
}

void broker_kill(struct broker *broker) {
    broker_end(broker, SIGKILL);
}

void broker_pause(struct broker *broker) {
    assert_int_equal(kill(broker->pid, SIGSTOP), 0);
}

void broker_resume(struct broker *broker) {
    assert_int_equal(kill(broker->pid, SIGCONT), 0);
}
