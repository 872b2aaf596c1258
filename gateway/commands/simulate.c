/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo simulate: plays the field side of a configuration. One thread, one epoll:
 *
 *   stdin ----- commands, one a line, each answered by one line on stdout ----> plant
 *   lines ----- pseudo terminals at the paths of serial buses (line.c) -------> plant   writes are told on stdout
 *   endpoints - TCP servers at the addresses of TCP buses (tcp_server.c) -----> plant
 *   timer ----- bytes on lines, delayed replies, and the wave once a second
 *   signals --- SIGINT and SIGTERM end it: links are taken away, exit status 0
 *
 * Output, one line each: a line per bus, then "ready", then answers ("ok", "ok VALUE", "error: ..."),
 * "written DEVICE/POINT VALUE" and, at the end, a report a line. What is answered is decided by the plant, when by the wire;
 * commands are carried out in simulation.c. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "config/scalar.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/configuration.h"
#include "gateway/simulator/simulation.h"
#include "gateway/simulator/watch.h"

#define WAVE_US 1000000
#define EVENTS_PER_ROUND 64

struct options {
    const char *config, *profiles, *log;
    uint64_t seed;
    bool until_eof, still, help;
};

/* What waits; what is simulated stands in simulation.h. */
struct stage {
    struct options options;
    struct simulation simulation;
    FILE *log;
    int epoll_fd, signal_fd, timer_fd;
    int64_t wave_us;
    char input[SIMULATION_LINE_SIZE];
    size_t input_size;
    bool input_file;  /* a file cannot be watched and never makes anybody wait: it is read at the start */
    bool input_skips; /* the line was too long; the rest of it is skipped */
};

static const char *const usage_text =
    "usage: yanhuo simulate CONFIG [--profiles DIR] [--until-eof] [--still] [--seed N] [--log FILE]\n"
    "  Plays every bus of CONFIG: serial ones as pseudo terminals linked at their paths, TCP ones as servers.\n"
    "  --profiles DIR  look for device profiles there\n"
    "  --until-eof     end when standard input ends (otherwise only a signal or 'quit' does)\n"
    "  --still         no slow wave on analog points\n"
    "  --seed N        where chance begins; the same seed plays the same faults (1)\n"
    "  --log FILE      a line for each request on a serial bus, times in microseconds:\n"
    "                  " LINE_LOG_HEADING "\n"
    "Commands on standard input, one a line, each answered by one line:\n"
    "  set DEVICE/POINT VALUE           a number or a label: set smoke-1/smoke alarm, set meter-1/current 12.5\n"
    "  get DEVICE/POINT                 what a reader of the bus sees\n"
    "  unplug DEVICE, plug DEVICE       it falls silent, and answers again\n"
    "  unplug-bus BUS, plug-bus BUS     the whole bus goes away, and comes back\n"
    "  delay DEVICE TIME                from a request's end to its answer: delay fume-1 20ms\n"
    "  fault DEVICE KIND [PERCENT] [MS] spoils that share (100 %) of the answers of a device on a serial line; kinds below\n"
    "  clear DEVICE                     ends its fault\n"
    "  fault-bus BUS echo               an adapter that gives back what is sent; clear-bus BUS ends it\n"
    "  report                           a line for each serial bus: requests, replies, faults, the gateway's violations, efficiency\n"
    "  recount                          the report counts from here\n"
    "  quit\n"
    "Every write that a device carries out is told as: written DEVICE/POINT VALUE\n"
    "The report is also given at the end. EARLY: a request begun before 3.5 characters of silence; TALKOVER: while bytes came.\n"
    "Efficiency: the shortest time in which the answered exchanges could have been made, by the time they took. A pseudo terminal\n"
    "has no wire, so a request occupies the line from when its first byte was read, and a byte is handed over when its last bit\n"
    "would have come; 'own delay' is how much later than that the simulator was with the last byte of an answer.\n"
    "Kinds of faults:\n";

static void print_usage(FILE *file) {
    (void)fputs(usage_text, file);
    for (unsigned kind = 1; kind < FAULT_KINDS; kind++)
        (void)fprintf(file, "  %-14s %s\n", fault_name((enum fault_kind)kind), fault_about((enum fault_kind)kind));
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

/* False at the end of the input. */
static bool on_input(struct stage *stage) {
    ssize_t got = read(STDIN_FILENO, stage->input + stage->input_size, sizeof(stage->input) - 1 - stage->input_size);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) { /* not watched any more, or it would be told for ever */
        (void)epoll_ctl(stage->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
        stage->simulation.ending |= stage->options.until_eof;
        return false;
    }
    stage->input_size += (size_t)got;
    stage->input[stage->input_size] = '\0';
    char *line = stage->input, *end;
    while (!stage->simulation.ending && (end = memchr(line, '\n', stage->input_size - (size_t)(line - stage->input))) != NULL) {
        *end = '\0';
        if (!stage->input_skips)
            simulation_command(&stage->simulation, line);
        stage->input_skips = false;
        line = end + 1;
    }
    stage->input_size -= (size_t)(line - stage->input);
    memmove(stage->input, line, stage->input_size);
    if (stage->input_size == sizeof(stage->input) - 1) {
        if (!stage->input_skips)
            simulation_print("error: the line is too long; expected one of " SIMULATION_COMMANDS);
        stage->input_skips = true;
        stage->input_size = 0;
    }
    return true;
}

/* ---- the loop ---- */

/* When the first byte of a line is due. */
static int64_t next_byte(const struct stage *stage) {
    int64_t wake_us = NOW_NEVER;
    for (uint16_t i = 0; i < stage->simulation.config->buses_count; i++)
        if (stage->simulation.config->buses[i].kind == BUS_SERIAL && line_wake_us(&stage->simulation.lines[i]) < wake_us)
            wake_us = line_wake_us(&stage->simulation.lines[i]);
    return wake_us;
}

static int64_t next_wake(const struct stage *stage) {
    int64_t wake_us = tcp_server_next_wake(stage->simulation.server), byte_us = next_byte(stage);
    if (!stage->options.still && stage->wave_us < wake_us)
        wake_us = stage->wave_us;
    return byte_us < wake_us ? byte_us : wake_us;
}

static void on_time(struct stage *stage, int64_t now_us) {
    tcp_server_on_time(stage->simulation.server, now_us);
    for (uint16_t i = 0; i < stage->simulation.config->buses_count; i++)
        if (stage->simulation.config->buses[i].kind == BUS_SERIAL)
            line_on_time(&stage->simulation.lines[i], now_us);
    if (!stage->options.still && now_us >= stage->wave_us) {
        plant_wave(&stage->simulation.plant, now_us);
        stage->wave_us = now_us + WAVE_US;
    }
}

/* Characters take less than the millisecond that epoll's own time-out counts in. */
static void arm_timer(const struct stage *stage) {
    int64_t wake_us = next_wake(stage);
    struct itimerspec when = {.it_value = {.tv_sec = 0}};
    if (wake_us != NOW_NEVER) {
        int64_t at_us = wake_us > 0 ? wake_us : 1;
        when.it_value.tv_sec = (time_t)(at_us / 1000000);
        when.it_value.tv_nsec = (long)(at_us % 1000000) * 1000;
    }
    CHECK(timerfd_settime(stage->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void on_event(struct stage *stage, const struct epoll_event *event, int64_t now_us) {
    uint64_t expirations;
    switch (watch_kind(event)) {
    case WATCH_INPUT:
        (void)on_input(stage);
        break;
    case WATCH_SIGNAL:
        stage->simulation.ending = true;
        break;
    case WATCH_TIMER:
        if (read(stage->timer_fd, &expirations, sizeof(expirations)) < 0)
            break; /* set anew since */
        break;
    case WATCH_LINE:
        line_on_readable(&stage->simulation.lines[watch_index(event)], now_us);
        break;
    case WATCH_ENDPOINT:
        tcp_server_on_endpoint(stage->simulation.server, watch_index(event));
        break;
    case WATCH_CONNECTION:
        tcp_server_on_connection(stage->simulation.server, watch_index(event), now_us);
        break;
    }
}

static int run(struct stage *stage) {
    struct epoll_event events[EVENTS_PER_ROUND];
    while (stage->input_file && !stage->simulation.ending && on_input(stage))
        continue;
    while (!stage->simulation.ending) {
        arm_timer(stage);
        int count = epoll_wait(stage->epoll_fd, events, EVENTS_PER_ROUND, -1);
        if (count < 0 && errno != EINTR) {
            (void)fprintf(stderr, "yanhuo simulate: waiting failed: %s\n", strerror(errno));
            return 1;
        }
        int64_t now_us = now_mono_us();
        for (int i = 0; i < count && !stage->simulation.ending; i++)
            on_event(stage, &events[i], now_us);
        on_time(stage, now_us);
    }
    return 0;
}

/* ---- start and end ---- */

static enum err watch_all(struct stage *stage) {
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return ERR_IO;
    stage->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    stage->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    stage->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (stage->epoll_fd < 0 || stage->signal_fd < 0 || stage->timer_fd < 0)
        return ERR_IO;
    if (watch_add(stage->epoll_fd, stage->signal_fd, WATCH_SIGNAL, 0) != ERR_OK ||
        watch_add(stage->epoll_fd, stage->timer_fd, WATCH_TIMER, 0) != ERR_OK)
        return ERR_IO;
    if (watch_add(stage->epoll_fd, STDIN_FILENO, WATCH_INPUT, 0) == ERR_OK)
        return ERR_OK;
    stage->input_file = errno == EPERM; /* EBADF: closed, there is nothing to say */
    return errno == EPERM || errno == EBADF ? ERR_OK : ERR_IO;
}

static enum err open_log(struct stage *stage) {
    if (!stage->options.log)
        return ERR_OK;
    stage->log = fopen(stage->options.log, "we");
    if (!stage->log || fputs(LINE_LOG_HEADING "\n", stage->log) < 0)
        return ERR_IO;
    return ERR_OK;
}

/* A wire waits for nobody: its bytes should not be late because another program has the processor. Where that is not
 * permitted they may be, and the report's own delay says how much. */
static void be_prompt(void) {
    struct sched_param param = {.sched_priority = 1};
    (void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

static int plug_all(struct simulation *simulation) {
    for (uint16_t i = 0; i < simulation->config->buses_count; i++) {
        char error_bytes[SIMULATION_LINE_SIZE];
        struct text error;
        text_init(&error, error_bytes, sizeof(error_bytes));
        if (simulation_plug(simulation, i, &error) != ERR_OK) {
            (void)fprintf(stderr, "yanhuo simulate: %s\n", error_bytes);
            return 1;
        }
        print_bus(simulation, i);
    }
    simulation_print("ready");
    return 0;
}

static int start(struct stage *stage, struct arena *arena) {
    struct simulation *simulation = &stage->simulation;
    if (watch_all(stage) != ERR_OK) {
        (void)fprintf(stderr, "yanhuo simulate: cannot set up waiting: %s\n", strerror(errno));
        return 1;
    }
    if (open_log(stage) != ERR_OK) {
        (void)fprintf(stderr, "yanhuo simulate: cannot write %s: %s\n", stage->options.log, strerror(errno));
        return 1;
    }
    simulation->listener = (struct plant_listener){simulation, simulation_wrote};
    plant_build(&simulation->plant, simulation->config, arena);
    simulation->server = tcp_server_create(&simulation->plant, &simulation->listener, stage->epoll_fd, arena);
    simulation->lines = arena_take(arena, simulation->config->buses_count + 1u, sizeof(struct line));
    for (uint16_t i = 0; i < simulation->config->buses_count; i++)
        line_init(&simulation->lines[i], &simulation->config->buses[i], &simulation->plant, &simulation->listener, stage->epoll_fd,
                  stage->options.seed + i, stage->log);
    be_prompt();
    return plug_all(simulation);
}

static void end(struct stage *stage) {
    for (uint16_t i = 0; stage->simulation.lines && i < stage->simulation.config->buses_count; i++)
        simulation_unplug(&stage->simulation, i);
    int fds[] = {stage->timer_fd, stage->signal_fd, stage->epoll_fd};
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    if (stage->log && fclose(stage->log) != 0)
        (void)fprintf(stderr, "yanhuo simulate: %s is not complete: %s\n", stage->options.log, strerror(errno));
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
        else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
            options->log = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc && text_read_u64(argv[i + 1], &options->seed))
            i++;
        else if (argv[i][0] != '-' && !options->config)
            options->config = argv[i];
        else
            return false;
    }
    return options->help || options->config;
}

int command_simulate(int argc, char **argv) {
    struct stage stage = {.options = {.seed = 1}, .epoll_fd = -1, .signal_fd = -1, .timer_fd = -1};
    struct arena arena;
    if (!read_options(argc, argv, &stage.options)) {
        print_usage(stderr);
        return 2;
    }
    if (stage.options.help) {
        print_usage(stdout);
        return 0;
    }
    arena_init(&arena);
    const char *profiles = stage.options.profiles ? stage.options.profiles : config_profiles_dir();
    int status = 2;
    if (configuration_load(stage.options.config, profiles, &arena, &stage.simulation.config)) {
        status = start(&stage, &arena);
        if (status == 0)
            status = run(&stage);
        if (status == 0)
            simulation_report(&stage.simulation);
        end(&stage);
    }
    arena_done(&arena);
    return status;
}
