/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo simulate: plays the field side of a configuration. One thread, one epoll:
 *
 *   stdin ----- commands, one a line, each answered by one line on stdout ----> plant
 *   lines ----- pseudo terminals at the paths of serial buses (line.c) -------> plant   writes are told on stdout
 *   endpoints - TCP servers at the addresses of TCP buses (tcp_server.c) -----> plant
 *   timer ----- bytes on lines, delayed replies, and the wave once a second
 *   signals --- SIGINT and SIGTERM end it: links are taken away, exit status 0
 *
 * Output, one line each: a line per bus, then "ready", then answers ("ok", "ok VALUE", "error: ...") and
 * "written DEVICE/POINT VALUE". Everything is decided by the plant; this file only reads and prints. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "config/load.h"
#include "config/scalar.h"
#include "gateway/commands/commands.h"
#include "gateway/simulator/line.h"
#include "gateway/simulator/tcp_server.h"
#include "gateway/simulator/watch.h"

#define WAVE_US 1000000
#define EVENTS_PER_ROUND 64
#define ANSWER_SIZE 512
#define WORDS_MAX 4

struct options {
    const char *config, *profiles;
    bool until_eof, still, help;
};

struct simulation {
    struct options options;
    const struct config *config;
    struct plant plant;
    struct plant_listener listener;
    struct line *lines; /* by bus; used for serial ones only */
    struct tcp_server *server;
    int epoll_fd, signal_fd, timer_fd;
    int64_t wave_us;
    bool ending;
    char input[ANSWER_SIZE];
    size_t input_size;
    bool input_file;  /* a file cannot be watched and never makes anybody wait: it is read at the start */
    bool input_skips; /* the line was too long; the rest of it is skipped */
};

static const char *const usage_text = "usage: yanhuo simulate CONFIG [--profiles DIR] [--until-eof] [--still]\n"
                                      "  Plays every bus of CONFIG: serial ones as pseudo terminals linked at their paths, TCP ones as servers.\n"
                                      "  --profiles DIR  look for device profiles there\n"
                                      "  --until-eof     end when standard input ends (otherwise only a signal or 'quit' does)\n"
                                      "  --still         no slow wave on analog points\n"
                                      "Commands on standard input, one a line, each answered by one line:\n"
                                      "  set DEVICE/POINT VALUE           a number or a label: set smoke-1/smoke alarm, set meter-1/current 12.5\n"
                                      "  get DEVICE/POINT                 what a reader of the bus sees\n"
                                      "  unplug DEVICE, plug DEVICE       it falls silent, and answers again\n"
                                      "  unplug-bus BUS, plug-bus BUS     the whole bus goes away, and comes back\n"
                                      "  delay DEVICE TIME                from a request's end to its answer: delay fume-1 20ms\n"
                                      "  quit\n"
                                      "Every write that a device carries out is told as: written DEVICE/POINT VALUE\n";

#define COMMANDS "set, get, unplug, plug, unplug-bus, plug-bus, delay, quit"

static void print_line(const char *text) {
    (void)printf("%s\n", text); /* line by line: whoever drives the simulation waits for each */
    (void)fflush(stdout);
}

static void on_wrote(void *context, uint16_t device, const struct slave_write *write) {
    const struct simulation *simulation = context;
    const struct device_spec *spec = &simulation->config->devices[device].spec;
    for (uint16_t i = 0; i < spec->points_count; i++) {
        char bytes[ANSWER_SIZE];
        struct text text;
        if (!slave_write_touches(write, &spec->points[i]))
            continue;
        text_init(&text, bytes, sizeof(bytes));
        text_add(&text, "written ");
        text_add(&text, spec->name);
        text_add(&text, "/");
        text_add(&text, spec->points[i].name);
        text_add(&text, " ");
        plant_add_value(&simulation->plant, device, i, &text);
        print_line(bytes);
    }
}

/* ---- buses ---- */

static enum err plug_bus(struct simulation *simulation, uint16_t bus, struct text *error) {
    if (simulation->config->buses[bus].kind == BUS_SERIAL)
        return line_plug(&simulation->lines[bus], error);
    return tcp_server_plug(simulation->server, bus, error);
}

static void unplug_bus(struct simulation *simulation, uint16_t bus) {
    if (simulation->config->buses[bus].kind == BUS_SERIAL)
        line_unplug(&simulation->lines[bus]);
    else
        tcp_server_unplug(simulation->server, bus);
}

static void print_bus(const struct simulation *simulation, uint16_t bus) {
    static const char parities[] = {[PARITY_NONE] = 'N', [PARITY_EVEN] = 'E', [PARITY_ODD] = 'O'};
    const struct bus_spec *spec = &simulation->config->buses[bus];
    unsigned devices = 0;
    for (uint16_t i = 0; i < simulation->config->devices_count; i++)
        devices += simulation->config->devices[i].bus == bus;
    if (spec->kind == BUS_SERIAL)
        (void)printf("bus %s at %s (%s), %u 8%c%u, %u device%s\n", spec->name, spec->serial, simulation->lines[bus].port, (unsigned)spec->baud,
                     parities[spec->parity], (unsigned)spec->stop_bits, devices, devices == 1 ? "" : "s");
    else
        (void)printf("bus %s at %s:%u, %u device%s\n", spec->name, spec->host, (unsigned)spec->port, devices, devices == 1 ? "" : "s");
}

/* ---- commands ---- */

static enum err do_delay(struct simulation *simulation, const char *device, const char *delay, struct text *error) {
    uint64_t delay_ms;
    if (scalar_duration(delay, &delay_ms) && delay_ms <= 60000)
        return plant_delay(&simulation->plant, device, (uint32_t)delay_ms * 1000, error);
    text_add(error, "'");
    text_add(error, delay);
    text_add(error, "' is no delay; expected a time up to 60s with its unit, such as 20ms");
    return ERR_SYNTAX;
}

static enum err do_bus(struct simulation *simulation, const char *name, bool plugged, struct text *error) {
    uint16_t bus;
    enum err err = plant_find_bus(&simulation->plant, name, &bus, error);
    if (err != ERR_OK)
        return err;
    if (plugged)
        return plug_bus(simulation, bus, error);
    unplug_bus(simulation, bus);
    return ERR_OK;
}

/* The words of one command; a value adds itself to `value`, an error to `error`. */
static enum err carry_out(struct simulation *simulation, char *const words[WORDS_MAX], unsigned count, struct text *value, struct text *error) {
    static const struct {
        const char *name;
        unsigned words;
        const char *form;
    } forms[] = {
        {"set", 3, "set DEVICE/POINT VALUE"}, {"get", 2, "get DEVICE/POINT"},  {"unplug", 2, "unplug DEVICE"},    {"plug", 2, "plug DEVICE"},
        {"unplug-bus", 2, "unplug-bus BUS"},  {"plug-bus", 2, "plug-bus BUS"}, {"delay", 3, "delay DEVICE TIME"}, {"quit", 1, "quit"},
    };
    size_t i = 0;
    while (i < ARRAY_COUNT(forms) && strcmp(forms[i].name, words[0]) != 0)
        i++;
    if (i == ARRAY_COUNT(forms) || forms[i].words != count) {
        text_add(error, i == ARRAY_COUNT(forms) ? "unknown command '" : "wrong number of words after '");
        text_add(error, words[0]);
        text_add(error, i == ARRAY_COUNT(forms) ? "'; expected one of " COMMANDS : "'; expected ");
        text_add(error, i == ARRAY_COUNT(forms) ? "" : forms[i].form);
        return ERR_SYNTAX;
    }
    switch (i) {
    case 0:
        return plant_set(&simulation->plant, words[1], words[2], error);
    case 1:
        return plant_get(&simulation->plant, words[1], value, error);
    case 2:
        return plant_plug(&simulation->plant, words[1], false, error);
    case 3:
        return plant_plug(&simulation->plant, words[1], true, error);
    case 4:
        return do_bus(simulation, words[1], false, error);
    case 5:
        return do_bus(simulation, words[1], true, error);
    case 6:
        return do_delay(simulation, words[1], words[2], error);
    default:
        simulation->ending = true;
        return ERR_OK;
    }
}

static void on_command(struct simulation *simulation, char *line) {
    char *words[WORDS_MAX], value_bytes[ANSWER_SIZE / 2], error_bytes[ANSWER_SIZE], *rest = line;
    unsigned count = 0;
    struct text value, error;
    for (char *word; (word = strsep(&rest, " \t\r")) != NULL;)
        if (*word && count < WORDS_MAX)
            words[count++] = word;
    if (count == 0 || words[0][0] == '#')
        return;
    text_init(&value, value_bytes, sizeof(value_bytes));
    text_init(&error, error_bytes, sizeof(error_bytes));
    if (carry_out(simulation, words, count, &value, &error) == ERR_OK)
        (void)printf("ok%s%s\n", value.length ? " " : "", value_bytes);
    else
        (void)printf("error: %s\n", error_bytes);
    (void)fflush(stdout);
}

/* False at the end of the input. */
static bool on_input(struct simulation *simulation) {
    ssize_t got = read(STDIN_FILENO, simulation->input + simulation->input_size, sizeof(simulation->input) - 1 - simulation->input_size);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) { /* not watched any more, or it would be told for ever */
        (void)epoll_ctl(simulation->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        simulation->ending |= simulation->options.until_eof;
        return false;
    }
    simulation->input_size += (size_t)got;
    simulation->input[simulation->input_size] = '\0';
    char *line = simulation->input, *end;
    while (!simulation->ending && (end = memchr(line, '\n', simulation->input_size - (size_t)(line - simulation->input))) != NULL) {
        *end = '\0';
        if (!simulation->input_skips)
            on_command(simulation, line);
        simulation->input_skips = false;
        line = end + 1;
    }
    simulation->input_size -= (size_t)(line - simulation->input);
    memmove(simulation->input, line, simulation->input_size);
    if (simulation->input_size == sizeof(simulation->input) - 1) {
        if (!simulation->input_skips)
            print_line("error: the line is too long; expected one of " COMMANDS);
        simulation->input_skips = true;
        simulation->input_size = 0;
    }
    return true;
}

/* ---- the loop ---- */

static int64_t next_wake(const struct simulation *simulation) {
    int64_t wake_us = tcp_server_next_wake(simulation->server);
    if (!simulation->options.still && simulation->wave_us < wake_us)
        wake_us = simulation->wave_us;
    for (uint16_t i = 0; i < simulation->config->buses_count; i++)
        if (simulation->config->buses[i].kind == BUS_SERIAL && simulation->lines[i].wake_us < wake_us)
            wake_us = simulation->lines[i].wake_us;
    return wake_us;
}

static void on_time(struct simulation *simulation, int64_t now_us) {
    tcp_server_on_time(simulation->server, now_us);
    for (uint16_t i = 0; i < simulation->config->buses_count; i++)
        if (simulation->config->buses[i].kind == BUS_SERIAL)
            line_on_time(&simulation->lines[i], now_us);
    if (!simulation->options.still && now_us >= simulation->wave_us) {
        plant_wave(&simulation->plant, now_us);
        simulation->wave_us = now_us + WAVE_US;
    }
}

/* Characters take less than the millisecond that epoll's own time-out counts in. */
static void arm_timer(const struct simulation *simulation) {
    int64_t wake_us = next_wake(simulation);
    struct itimerspec when = {.it_value = {.tv_sec = 0}};
    if (wake_us != NOW_NEVER) {
        int64_t at_us = wake_us > 0 ? wake_us : 1;
        when.it_value.tv_sec = (time_t)(at_us / 1000000);
        when.it_value.tv_nsec = (long)(at_us % 1000000) * 1000;
    }
    CHECK(timerfd_settime(simulation->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void on_event(struct simulation *simulation, const struct epoll_event *event, int64_t now_us) {
    uint64_t expirations;
    switch (watch_kind(event)) {
    case WATCH_INPUT:
        (void)on_input(simulation);
        break;
    case WATCH_SIGNAL:
        simulation->ending = true;
        break;
    case WATCH_TIMER:
        if (read(simulation->timer_fd, &expirations, sizeof(expirations)) < 0)
            break; /* set anew since */
        break;
    case WATCH_LINE:
        line_on_readable(&simulation->lines[watch_index(event)], now_us);
        break;
    case WATCH_ENDPOINT:
        tcp_server_on_endpoint(simulation->server, watch_index(event));
        break;
    case WATCH_CONNECTION:
        tcp_server_on_connection(simulation->server, watch_index(event), now_us);
        break;
    }
}

static int run(struct simulation *simulation) {
    struct epoll_event events[EVENTS_PER_ROUND];
    while (simulation->input_file && !simulation->ending && on_input(simulation))
        continue;
    while (!simulation->ending) {
        arm_timer(simulation);
        int count = epoll_wait(simulation->epoll_fd, events, EVENTS_PER_ROUND, -1);
        if (count < 0 && errno != EINTR) {
            (void)fprintf(stderr, "yanhuo simulate: waiting failed: %s\n", strerror(errno));
            return 1;
        }
        int64_t now_us = now_mono_us();
        for (int i = 0; i < count && !simulation->ending; i++)
            on_event(simulation, &events[i], now_us);
        on_time(simulation, now_us);
    }
    return 0;
}

/* ---- start and end ---- */

static enum err watch_all(struct simulation *simulation) {
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return ERR_IO;
    simulation->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    simulation->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    simulation->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (simulation->epoll_fd < 0 || simulation->signal_fd < 0 || simulation->timer_fd < 0)
        return ERR_IO;
    if (watch_add(simulation->epoll_fd, simulation->signal_fd, WATCH_SIGNAL, 0) != ERR_OK ||
        watch_add(simulation->epoll_fd, simulation->timer_fd, WATCH_TIMER, 0) != ERR_OK)
        return ERR_IO;
    if (watch_add(simulation->epoll_fd, STDIN_FILENO, WATCH_INPUT, 0) == ERR_OK)
        return ERR_OK;
    simulation->input_file = errno == EPERM; /* EBADF: closed, there is nothing to say */
    return errno == EPERM || errno == EBADF ? ERR_OK : ERR_IO;
}

static int start(struct simulation *simulation, struct arena *arena) {
    char error_bytes[ANSWER_SIZE];
    struct text error;
    if (watch_all(simulation) != ERR_OK) {
        (void)fprintf(stderr, "yanhuo simulate: cannot set up waiting: %s\n", strerror(errno));
        return 1;
    }
    simulation->listener = (struct plant_listener){simulation, on_wrote};
    plant_build(&simulation->plant, simulation->config, arena);
    simulation->server = tcp_server_create(&simulation->plant, &simulation->listener, simulation->epoll_fd, arena);
    simulation->lines = arena_take(arena, simulation->config->buses_count + 1u, sizeof(struct line));
    for (uint16_t i = 0; i < simulation->config->buses_count; i++)
        line_init(&simulation->lines[i], &simulation->config->buses[i], &simulation->plant, &simulation->listener, simulation->epoll_fd);
    for (uint16_t i = 0; i < simulation->config->buses_count; i++) {
        text_init(&error, error_bytes, sizeof(error_bytes));
        if (plug_bus(simulation, i, &error) != ERR_OK) {
            (void)fprintf(stderr, "yanhuo simulate: %s\n", error_bytes);
            return 1;
        }
        print_bus(simulation, i);
    }
    print_line("ready");
    return 0;
}

static void end(struct simulation *simulation) {
    for (uint16_t i = 0; simulation->lines && i < simulation->config->buses_count; i++)
        unplug_bus(simulation, i);
    int fds[] = {simulation->timer_fd, simulation->signal_fd, simulation->epoll_fd};
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static bool read_options(int argc, char **argv, struct options *options) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--until-eof") == 0)
            options->until_eof = true;
        else if (strcmp(argv[i], "--still") == 0)
            options->still = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            options->help = true;
        else if (strcmp(argv[i], "--profiles") == 0 && i + 1 < argc)
            options->profiles = argv[++i];
        else if (argv[i][0] != '-' && !options->config)
            options->config = argv[i];
        else
            return false;
    }
    return options->help || options->config;
}

int command_simulate(int argc, char **argv) {
    struct simulation simulation = {.epoll_fd = -1, .signal_fd = -1, .timer_fd = -1};
    struct diagnostics diagnostics;
    struct arena arena;
    if (!read_options(argc, argv, &simulation.options)) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    if (simulation.options.help) {
        (void)fputs(usage_text, stdout);
        return 0;
    }
    arena_init(&arena);
    diagnostics_init(&diagnostics);
    enum err err = config_load(simulation.options.config, simulation.options.profiles ? simulation.options.profiles : config_profiles_dir(), &arena,
                               &diagnostics, &simulation.config);
    if (err != ERR_OK)
        diagnostics_print(&diagnostics, stderr); /* warnings are for `yanhuo check`; here they would hide the buses */
    diagnostics_done(&diagnostics);
    int status = 2;
    if (err == ERR_OK) {
        status = start(&simulation, &arena);
        if (status == 0)
            status = run(&simulation);
        end(&simulation);
    }
    arena_done(&arena);
    return status;
}
