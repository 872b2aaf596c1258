/* SPDX-License-Identifier: Apache-2.0 */
/* Commands from outside: the whole gateway on a simulated line, with a real broker and its control socket. The gateway runs in a process
 * of its own with the configuration of a file and two settings of the test: its uplink takes commands, and there is a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"
#include "base/text.h"
#include "config/load.h"
#include "gateway/run.h"
#include "tests/io/broker.h"
#include "tests/io/field_program.h"

#define KEY "5f0e0c2b9d-a-key-of-this-test"
#define FLOOD 10000
#define HEARD_SIZE (4 * 1024 * 1024)

struct site {
    struct field_program *program;
    struct broker broker;
    pid_t gateway, subscriber;
    char state[96], control[108], head[256];
};

static struct site site;
static char heard[HEARD_SIZE];

static void write_config(void) {
    FILE *file = fopen(site.program->config, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\n"
            "buses:\n"
            "  line: {serial: %s, baud: 9600}\n"
            "  net: {tcp: \"127.0.0.1:%u\"}\n"
            "devices:\n"
            "  meter: {bus: line, unit_id: 7, points: {smoke: {read: holding, address: 3, type: u16, every: 200ms}}}\n"
            "  relay: {bus: net, unit_id: 1, points: {out: {read: coil, address: 0, type: bit, write: coil, every: 1s}}}\n"
            "alarms:\n"
            "  smoke: {point: meter/smoke, above: 5, class: electrical, latch: true}\n"
            "uplinks:\n"
            "  city: {mqtt: \"mqtt://127.0.0.1:%u\", readings: {batch: 0s, on_change: false}}\n",
            site.program->link, site.program->port, (unsigned)site.broker.port);
    assert_int_equal(fclose(file), 0);
}

/* In the child. */
static int gateway_run(void) {
    struct arena arena;
    struct diagnostics diagnostics;
    const struct config *loaded;
    int log = open(broker_path(&site.broker, "gateway.log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(site.broker.guard_fd);
    dup2(log, STDERR_FILENO);
    setenv("CREDENTIALS_DIRECTORY", site.broker.folder, 1);
    arena_init(&arena);
    diagnostics_init(&diagnostics);
    if (config_load(site.program->config, config_profiles_dir(), &arena, &diagnostics, &loaded) != ERR_OK) {
        diagnostics_print(&diagnostics, stderr);
        return 2;
    }
    struct config config = *loaded;
    struct config_uplink uplink = config.uplinks[0];
    uplink.commands = true;
    config.uplinks = &uplink;
    config.commands = (struct config_commands){.hmac_credential = "key"};
    return run_gateway(&config, site.state);
}

static void gateway_start(void) {
    site.gateway = fork();
    assert_true(site.gateway >= 0);
    if (site.gateway == 0)
        _exit(gateway_run());
}

static const char *slurp(const char *name) {
    FILE *file = fopen(broker_path(&site.broker, name), "re");
    size_t length = file ? fread(heard, 1, sizeof(heard) - 1, file) : 0;
    if (file)
        fclose(file);
    heard[length] = '\0';
    return heard;
}

static unsigned count_in(const char *name, const char *part) {
    unsigned count = 0;
    for (const char *at = slurp(name); (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

/* The line of a file that begins with this, once it is there. */
static const char *wait_line(const char *name, const char *begins) {
    static char line[8192];
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "\n%s", begins);
    for (int64_t end_us = now_mono_us() + 2 * FIELD_DEADLINE_US; now_mono_us() < end_us; (void)poll(NULL, 0, 10)) {
        const char *text = slurp(name), *found = strstr(text, wanted), *end = found ? strchr(found + 1, '\n') : NULL;
        if (!end)
            continue;
        snprintf(line, sizeof(line), "%.*s", (int)(end - found - 1), found + 1);
        return line;
    }
    fail_msg("no line '%s' in: %.3000s", begins, slurp(name));
    return NULL;
}

static void wait_for(const char *name, const char *part) {
    for (int64_t end_us = now_mono_us() + 2 * FIELD_DEADLINE_US; now_mono_us() < end_us; (void)poll(NULL, 0, 10))
        if (strstr(slurp(name), part))
            return;
    fail_msg("no '%s' in: %.3000s", part, slurp(name));
}

/* Everything the gateway publishes goes to a file, one "topic retained payload" a line. */
static void subscribe(void) {
    char port[8], line[] = "\n";
    snprintf(port, sizeof(port), "%u", (unsigned)site.broker.port);
    int file = open(broker_path(&site.broker, "heard"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(write(file, line, 1), 1); /* so that every line has one before it */
    site.subscriber = fork();
    assert_true(site.subscriber >= 0);
    if (site.subscriber == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(file, STDOUT_FILENO);
        execlp("mosquitto_sub", "mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-q", "1", "-F", "%t %r %p", "-t", "yanhuo/v1/t/reply/#", "-t",
               "yanhuo/v1/t/status", "-t", "yanhuo/v1/t/reading/#", (char *)NULL);
        _exit(127);
    }
    close(file);
}

static int begin(void **state) {
    void *program;
    memset(&site, 0, sizeof(site));
    broker_init(&site.broker);
    broker_start(&site.broker, "allow_anonymous true\nmax_queued_messages 0\n");
    if (field_begin(&program) != 0)
        return -1;
    site.program = program;
    *state = &site;
    snprintf(site.state, sizeof(site.state), "%s/state", site.program->folder);
    snprintf(site.control, sizeof(site.control), "%s/control", site.state);
    assert_int_equal(mkdir(site.state, 0700), 0);
    write_config();
    broker_write(&site.broker, "key", KEY "\n");
    field_launch_ready(site.program);
    subscribe();
    gateway_start();
    (void)wait_line("heard", "yanhuo/v1/t/status "); /* by then both have subscribed */
    (void)wait_line("heard", "yanhuo/v1/t/reading/meter ");
    struct now now;
    struct text text;
    now_read(&now);
    text_init(&text, site.head, sizeof(site.head));
    text_add(&text, "\"by\":\"test\",\"issued\":\"");
    text_add_time(&text, now.wall_ms, 480);
    text_add(&text, "\",\"expires\":\"");
    text_add_time(&text, now.wall_ms + 600000, 0);
    text_add(&text, "\"");
    return 0;
}

static void end(pid_t *pid) {
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

static int finish(void **state) {
    char command[160];
    end(&site.gateway);
    end(&site.subscriber);
    broker_done(&site.broker);
    snprintf(command, sizeof(command), "rm -rf %s", site.state);
    *state = site.program;
    return system(command) == 0 ? field_finish(state) : -1;
}

/* A whole command with these members more. */
static const char *payload(const char *id, const char *members) {
    static char bytes[2048];
    snprintf(bytes, sizeof(bytes), "{\"id\":\"%s\",%s%s}", id, site.head, members);
    return bytes;
}

static void publish(const char *verb, const char *options, const char *bytes) {
    char command[256];
    broker_write(&site.broker, "payload", bytes);
    snprintf(command, sizeof(command), "mosquitto_pub -h 127.0.0.1 -p %u -q 1 %s -t yanhuo/v1/t/cmd/%s -f payload", (unsigned)site.broker.port, options,
             verb);
    broker_run(&site.broker, command);
}

/* The reply to this id has come, not retained, refuses, and says this. */
static void assert_refused(const char *id, const char *part) {
    char begins[128], shown[64];
    snprintf(begins, sizeof(begins), "yanhuo/v1/t/reply/%s 0 ", id);
    snprintf(shown, sizeof(shown), "{\"id\":\"%s\",", id);
    const char *line = wait_line("heard", begins);
    if (!strstr(line, shown) || !strstr(line, "\"ok\":false,\"why\":\"") || !strstr(line, part) || !strstr(line, ",\"at\":\"20"))
        fail_msg("'%s' is not in: %s", part, line);
}

#define ALARM ",\"device\":\"meter\",\"alarm\":\"smoke\""

static void what_cannot_be_read_is_refused(void **state) {
    (void)state;
    static char large[1 << 20];
    publish("acknowledge", "", "{\"id\":\"c-json\",\"by\":}");
    assert_refused("c-json", "the command is no JSON: wrong at byte ");
    memset(large, 'x', sizeof(large) - 1);
    memcpy(large, "{\"id\":\"c-large\",\"what\":\"", 24);
    publish("acknowledge", "", large);
    assert_refused("c-large", "the command has 1048575 bytes; at most 4096 are taken");
    publish("acknowlege", "", payload("c-verb", ALARM));
    assert_refused("c-verb", "there is no command 'acknowlege'; did you mean 'acknowledge'?");
    publish("acknowledge", "", payload("c-member", ALARM ",\"colour\":1"));
    assert_refused("c-member", "'colour' is no member of a command");
    publish("acknowledge", "-r", payload("c-retained", ALARM));
    assert_refused("c-retained", "retain");
    publish("acknowledge", "", "\xFF"); /* nobody can be told; the next one is heard all the same */
    publish("acknowledge", "", "");
    publish("shelve", "", payload("c-last", ALARM));
    assert_refused("c-last", "'reason' is missing; shelve needs device, alarm, reason, until");
    wait_for("gateway.log", "command without id acknowledge refused (mqtt city): the command is not UTF-8 text");
}

/* The broker holds the retained command of before; the gateway that comes back does not even see it. */
static void what_was_retained_stays_where_it_is(void **state) {
    (void)state;
    publish("acknowledge", "-r", payload("c-old", ALARM));
    assert_refused("c-old", "retain");
    assert_int_equal(count_in("heard", "reply/c-old"), 1);
    end(&site.gateway);
    gateway_start();
    for (int64_t end_us = now_mono_us() + 2 * FIELD_DEADLINE_US; count_in("gateway.log", "uplink city up") < 2; (void)poll(NULL, 0, 20))
        assert_true(now_mono_us() < end_us);
    publish("acknowledge", "", "{\"id\":\"c-new\"}");
    assert_refused("c-new", "'by' is missing");
    assert_int_equal(count_in("heard", "reply/c-old"), 1);
    assert_int_equal(count_in("gateway.log", "command c-old "), 1);
}

static void run_command(const char *arguments, int wanted, const char *printed) {
    char line[1024];
    snprintf(line, sizeof(line), "%s command %s >printed 2>&1; test $? = %d", PROGRAM, arguments, wanted);
    broker_write(&site.broker, "printed", "");
    broker_run(&site.broker, line);
    if (!strstr(slurp("printed"), printed))
        fail_msg("'%s' is not in: %s", printed, heard);
}

/* What needs authority comes signed, as the program itself signs it, and for this gateway and verb only. */
static void a_signature_is_checked(void **state) {
    (void)state;
    char text[4096];
    publish("reset", "", payload("c-plain", ALARM));
    assert_refused("c-plain", "reset must be signed");
    run_command("reset device=meter alarm=smoke --sign key --gateway t", 0, "{\"signed\":\"{\\\"id\\\":\\\"");
    snprintf(text, sizeof(text), "%s", slurp("printed"));
    char id[32], topic[64], *found = strstr(text, "\\\"id\\\":\\\"");
    assert_non_null(found);
    snprintf(id, sizeof(id), "%.16s", found + 9);
    snprintf(topic, sizeof(topic), "yanhuo/v1/t/reply/%s 0 ", id);
    publish("write", "", text); /* signed for reset */
    assert_refused(id, "the signature is wrong");
    run_command("reset device=meter alarm=smoke --sign key --gateway t", 0, "\"hmac\"");
    snprintf(text, sizeof(text), "%s", slurp("printed"));
    found = strstr(text, "\\\"id\\\":\\\"");
    snprintf(topic, sizeof(topic), "yanhuo/v1/t/reply/%.16s 0 ", found + 9);
    publish("reset", "", text);
    const char *line = wait_line("heard", topic); /* whatever the core thinks of it, it is not its signature */
    assert_non_null(strstr(line, "\"verb\":\"reset\",\"ok\":"));
    assert_null(strstr(line, "sign"));
    run_command("reset device=meter alarm=smoke --sign key --gateway other", 0, "\"hmac\"");
    snprintf(text, sizeof(text), "%s", slurp("printed"));
    snprintf(id, sizeof(id), "%.16s", strstr(text, "\\\"id\\\":\\\"") + 9);
    publish("reset", "", text);
    assert_refused(id, "the signature is wrong");
    run_command("reset device=meter alarm=smoke --sign missing --gateway t", 1, "No such file");
    run_command("reset device=meter alarm=smoke --sign key", 2, "--sign and --gateway go together");
}

/* The whole road: raised by a reading, acknowledged by a command, told as an event; the same command again changes nothing. */
static void what_can_be_done_is_done_once(void **state) {
    (void)state;
    field_command(site.program, "set meter/smoke 9", "ok");
    wait_for("gateway.log", "alarm meter/smoke");
    char arguments[256];
    snprintf(arguments, sizeof(arguments), "acknowledge device=meter alarm=smoke -s %s --by Wang", site.state);
    run_command(arguments, 0, "acknowledge: done, event t-");
    run_command(arguments, 1, "acknowledge: refused: ");
    snprintf(arguments, sizeof(arguments), "reset device=meter alarm=smoke -s %s --by Wang", site.state);
    run_command(arguments, 1, "reset: refused: ");
    field_command(site.program, "set meter/smoke 0", "ok");
    (void)poll(NULL, 0, 1500);
    run_command(arguments, 0, "reset: done, event t-");
}

static unsigned line_requests(void) {
    char line[512];
    unsigned requests = 0;
    assert_int_equal(dprintf(site.program->to, "report\n"), 7);
    do {
        field_next_line(site.program, line, sizeof(line));
        (void)sscanf(line, "report line: %u request", &requests);
    } while (line[0] && strcmp(line, "ok") != 0);
    field_command(site.program, "recount", "ok");
    return requests;
}

/* Ten thousand commands, as fast as the broker takes them: the line is polled, and its readings are published, as ever. */
static void a_flood_disturbs_nobody(void **state) {
    (void)state;
    char command[256];
    FILE *file = fopen(broker_path(&site.broker, "flood"), "we");
    assert_non_null(file);
    for (unsigned i = 0; i < FLOOD; i++)
        fprintf(file, "{\"id\":\"f-%u\",%s" ALARM ",\"colour\":1}\n", i, site.head);
    assert_int_equal(fclose(file), 0);
    (void)line_requests();
    unsigned readings = count_in("heard", "yanhuo/v1/t/reading/meter ");
    int64_t begun_us = now_mono_us();
    snprintf(command, sizeof(command), "mosquitto_pub -h 127.0.0.1 -p %u -q 1 -l -t yanhuo/v1/t/cmd/acknowledge < flood", (unsigned)site.broker.port);
    broker_run(&site.broker, command);
    wait_for("gateway.log", "the flood of commands is over; ");
    double seconds = (double)(now_mono_us() - begun_us) / 1e6;
    unsigned polls = line_requests(), published = count_in("heard", "yanhuo/v1/t/reading/meter ") - readings;
    unsigned replies = count_in("heard", "/reply/f-"), dropped = 0;
    assert_int_equal(sscanf(strstr(slurp("gateway.log"), "flood of commands is over; "), "flood of commands is over; %u", &dropped), 1);
    print_message("%.1f s: %u polls, %u published, %u commands dropped, %u answered\n", seconds, polls, published, dropped, replies);
    assert_true(polls >= (unsigned)(4 * seconds)); /* five a second are due */
    assert_true(published + 3 >= (unsigned)(4 * seconds));
    assert_int_equal(count_in("gateway.log", "too many commands; beyond 10 a second they are dropped unseen"), 1);
    assert_int_equal(count_in("gateway.log", "the flood of commands is over"), 1);
    assert_int_equal(dropped + count_in("gateway.log", "command f-"), FLOOD);
    assert_true(replies >= COMMANDS_BURST && replies <= FLOOD - dropped);
    publish("acknowledge", "", "{\"id\":\"c-after\"}");
    assert_refused("c-after", "'by' is missing");
}

/* ---- locally ---- */

static void ask(int fd, const char *line, char answer[4600]) {
    size_t length = 0;
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    for (;;) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&readable, 1, (int)(FIELD_DEADLINE_US / 1000)), 1);
        assert_int_equal(recv(fd, answer + length, 1, 0), 1);
        if (answer[length] == '\n')
            break;
        assert_true(++length < 4600);
    }
    answer[length] = '\0';
}

static void assert_answered(int fd, const char *line, const char *begins, const char *part) {
    char answer[4600];
    ask(fd, line, answer);
    if (strncmp(answer, begins, strlen(begins)) != 0 || !strstr(answer, part))
        fail_msg("'%.200s' is answered '%s'; expected '%s' and '%s'", line, answer, begins, part);
}

static void a_local_client_is_answered(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[8192], answer[4600];
    memcpy(address.sun_path, site.control, sizeof(site.control));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_answered(fd, "command\n", "error expected 'bus NAME_OR_PORT', ", "'command VERB JSON'");
    assert_answered(fd, "command reset\n", "error expected a verb and its JSON", "");
    assert_answered(fd, "command  {}\n", "error expected a verb and its JSON", "");
    assert_answered(fd, "command reset {}\n", "{\"id\":null,\"verb\":\"reset\",\"ok\":false,\"why\":\"", "'id' is missing");
    assert_answered(fd, "command rest {\"id\":\"c-1\"}\n", "{\"id\":\"c-1\",\"verb\":null,\"ok\":false,\"why\":\"", "did you mean 'reset'?");
    snprintf(line, sizeof(line), "command reset {\"id\":\"c-2\",%s" ALARM "%*s}\n", site.head, 3800, "");
    assert_answered(fd, line, "{\"id\":\"c-2\",\"verb\":\"reset\",\"ok\":", "");
    ask(fd, line, answer); /* the longest line there is room for, from the machine's owner: no signature is asked for */
    assert_null(strstr(answer, "sign"));
    snprintf(line, sizeof(line), "command reset {\"id\":\"c-3\",%s" ALARM "%*s}\n", site.head, COMMAND_SIZE - 100, "");
    assert_answered(fd, line, "{\"id\":\"c-3\",\"verb\":\"reset\",\"ok\":false", "bytes; at most 4096 are taken");
    assert_answered(fd, "bus line\n", "bus line 9600 none 1", "");
    close(fd);
    snprintf(line, sizeof(line), "command c-2 reset refused (socket uid %u): ", (unsigned)geteuid());
    assert_true(count_in("gateway.log", line) + count_in("gateway.log", "command c-2 reset done") >= 1);
}

static void a_person_is_answered(void **state) {
    (void)state;
    char arguments[256];
    run_command("", 0, "reset           device= alarm= [what=]   (signed, or by root or the gateway's own user)\n");
    run_command("--help", 0, "usage: yanhuo command VERB KEY=VALUE...");
    snprintf(arguments, sizeof(arguments), "acknowledge device=nobody alarm=smoke -s %s --by Wang", site.state);
    run_command(arguments, 1, "acknowledge: refused: ");
    run_command("acknowlege device=meter", 2, "did you mean 'acknowledge'?");
    run_command("acknowledge device", 2, "'device' is not KEY=VALUE");
    run_command("acknowledge device=meter", 2, "'alarm' is missing; acknowledge needs device, alarm");
    run_command("acknowledge device=meter alarm=smoke device=relay", 2, "'device' is written twice");
    run_command("acknowledge device=meter alarm=smoke --minutes 61", 2, "--minutes");
    run_command("walk_test minutes=many", 2, "'minutes' is no whole number");
    run_command("acknowledge device=meter alarm=smoke -s nowhere", 1, "nowhere/control cannot be reached: No such file");
    wait_for("gateway.log", "acknowledge refused (socket uid ");
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_refused, begin, finish),
        cmocka_unit_test_setup_teardown(what_was_retained_stays_where_it_is, begin, finish),
        cmocka_unit_test_setup_teardown(what_can_be_done_is_done_once, begin, finish),
        cmocka_unit_test_setup_teardown(a_signature_is_checked, begin, finish),
        cmocka_unit_test_setup_teardown(a_flood_disturbs_nobody, begin, finish),
        cmocka_unit_test_setup_teardown(a_local_client_is_answered, begin, finish),
        cmocka_unit_test_setup_teardown(a_person_is_answered, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
