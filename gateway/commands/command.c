/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo command VERB KEY=VALUE...`: the JSON of a command (docs/commands.md) made from words, read once by the gateway's own reader
 * so that a mistake is said here, then either sent to the running gateway, whose answer is printed, or signed and printed, so that somebody
 * can publish it. Without a verb: the list of verbs and what each takes, from the same table as the reader. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/now.h"
#include "base/text.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/control.h"
#include "gateway/commands/field.h"
#include "gateway/io/command_json.h"
#include "gateway/io/credential.h"

#define MINUTES_MAX (COMMAND_LIFE_MAX_MS / 60000)

static const char *const usage_text =
    "usage: yanhuo command VERB KEY=VALUE... [-s STATE_DIR] [--by NAME] [--minutes N]\n"
    "       yanhuo command VERB KEY=VALUE... --sign KEYFILE --gateway ID [--by NAME] [--minutes N]\n"
    "       yanhuo command                     lists the verbs and their keys\n\n"
    "Asks the gateway that runs on this machine to do something, and prints its answer.\n\n"
    "  -s, --state DIR      the state folder of that gateway (" FIELD_STATE_DIR ")\n"
    "      --by NAME        who asks, for the record (your user name)\n"
    "      --minutes N      how long the command holds, 1 to 60 (1)\n"
    "      --sign KEYFILE   send nothing; print the signed command, to be published on yanhuo/v1/ID/cmd/VERB\n"
    "      --gateway ID     for which gateway it is signed\n\n"
    "Examples: yanhuo command acknowledge device=smoke-1 alarm=smoke --by 王师傅\n"
    "          yanhuo command shelve device=fan-1 alarm=vibration reason='new belt' until=2026-11-23T18:00:00+08:00\n"
    "docs/commands.md is the manual.\n";

struct options {
    const char *state_dir, *by, *key_file, *gateway_id;
    uint64_t minutes;
};

static void list_verbs(void) {
    for (unsigned v = COMMAND_ACKNOWLEDGE; v <= COMMAND_WRITE; v++) {
        const struct command_rule *rule = command_rule((enum command_verb)v);
        if (!rule)
            continue;
        printf("%-15s", rule->name);
        for (uint32_t bit = 1; bit <= rule->needed; bit <<= 1)
            if (rule->needed & bit)
                printf(" %s=", command_field_name((enum command_field)bit));
        for (uint32_t bit = 1; bit <= rule->allowed; bit <<= 1)
            if (rule->allowed & ~rule->needed & bit)
                printf(" [%s=]", command_field_name((enum command_field)bit));
        puts(rule->authorised ? "   (signed, or by root or the gateway's own user)" : "");
    }
}

/* ---- words to JSON ---- */

static bool is_text_field(const char *name) {
    for (unsigned i = 0; i < command_texts_count; i++)
        if (strcmp(name, command_field_name(command_texts[i].field)) == 0)
            return true;
    return strcmp(name, "until") == 0 || strcmp(name, "next_due") == 0;
}

/* A number for `value` and `minutes` where it is one, true and false where the key is a flag; whatever is not what its key wants becomes
 * text, and the reader says what it should have been. */
static void add_value(struct text *json, const char *name, const char *word) {
    double number;
    bool yes = strcmp(word, "true") == 0 || strcmp(word, "yes") == 0, no = strcmp(word, "false") == 0 || strcmp(word, "no") == 0;
    bool flag = strcmp(name, "on") == 0 || strcmp(name, "inhibit") == 0 || strcmp(name, "stop") == 0;
    if (flag && (yes || no))
        text_add(json, yes ? "true" : "false");
    else if (!flag && !is_text_field(name) && text_read_double(word, &number))
        text_add_double(json, number);
    else
        text_add_json(json, word);
}

static bool add_words(struct text *json, char **words, int count) {
    for (int i = 0; i < count; i++) {
        char *equals = strchr(words[i], '=');
        if (!equals || equals == words[i]) {
            (void)fprintf(stderr, "yanhuo command: '%s' is not KEY=VALUE, like device=smoke-1\n", words[i]);
            return false;
        }
        *equals = '\0';
        text_add_char(json, ',');
        text_add_json(json, words[i]);
        text_add_char(json, ':');
        add_value(json, words[i], equals + 1);
    }
    return true;
}

static void add_time(struct text *json, const char *name, int64_t wall_ms) {
    text_add(json, ",\"");
    text_add(json, name);
    text_add(json, "\":\"");
    text_add_time(json, wall_ms, 0);
    text_add_char(json, '"');
}

static bool make_json(const struct options *options, char **words, int count, struct text *json) {
    uint64_t random;
    struct now now;
    ssize_t got = getrandom(&random, sizeof(random), 0);
    CHECK(got == sizeof(random)); /* up to 256 bytes it never falls short */
    now_read(&now);
    text_add(json, "{\"id\":\"");
    text_add_hex64(json, random);
    text_add(json, "\",\"by\":");
    text_add_json(json, options->by);
    add_time(json, "issued", now.wall_ms);
    add_time(json, "expires", now.wall_ms + (int64_t)options->minutes * 60000);
    if (!add_words(json, words, count))
        return false;
    text_add_char(json, '}');
    if (json->full)
        (void)fprintf(stderr, "yanhuo command: this is longer than the %d bytes that a command may have\n", COMMAND_SIZE);
    return !json->full;
}

/* Whether it may be asked is for the gateway to say; how it is written can be said here. */
static bool is_well_written(const char *verb, const char *json) {
    const struct command_source source = {.channel = CHANNEL_SOCKET, .peer = "", .authorised = true};
    const struct command_key none = {.gateway_id = "", .missing = ""};
    struct command command;
    command_json_read(&source, &none, verb, json, strlen(json), &command);
    if (command.refusal[0])
        (void)fprintf(stderr, "yanhuo command: %s\n", command.refusal);
    return !command.refusal[0];
}

/* ---- there and back ---- */

/* The answer's own members, found by their place in the line: it is made by mqtt_json_reply_payload, never by a stranger. */
static int print_answer(const char *verb, const char *answer) {
    static const char done[] = "\"ok\":true,\"event\":", refused[] = "\"ok\":false,\"why\":";
    const char *ok = strstr(answer, done), *why = strstr(answer, refused);
    if (ok) {
        const char *event = ok + sizeof(done);
        printf("%s: done, event %.*s\n", verb, (int)strcspn(event, "\""), event);
        return 0;
    }
    if (!why) {
        (void)fprintf(stderr, "yanhuo command: %s\n", answer);
        return 1;
    }
    (void)fprintf(stderr, "%s: refused: ", verb);
    for (const char *c = why + sizeof(refused); *c && *c != '"'; c++) {
        c += *c == '\\' && (c[1] == '"' || c[1] == '\\');
        (void)fputc(*c, stderr);
    }
    (void)fputc('\n', stderr);
    return 1;
}

static int send_command(const struct options *options, const char *verb, const char *json) {
    char line[SOCKET_LINE_SIZE];
    int fd = control_connect(options->state_dir);
    if (fd < 0) {
        (void)fprintf(stderr, "yanhuo command: %s/" SOCKET_NAME " cannot be reached: %s\n%s", options->state_dir, strerrordesc_np(errno),
                      errno == EACCES ? "Ask as root: with sudo.\n" : "Does the gateway run, and is this its state folder? -s names another.\n");
        return 1;
    }
    int length = snprintf(line, sizeof(line), "command %s %s\n", verb, json);
    bool answered = length < (int)sizeof(line) && control_exchange(fd, line, line);
    close(fd);
    if (answered)
        return print_answer(verb, line);
    (void)fprintf(stderr, "yanhuo command: the gateway ended before it answered; its events tell whether it was done\n");
    return 1;
}

static int print_signed(const struct options *options, const char *verb, const char *json) {
    char secret[CREDENTIAL_SIZE], why[LINE_SIZE], hmac[COMMAND_HMAC_SIZE], bytes[2 * COMMAND_SIZE];
    struct command_key key = {.gateway_id = options->gateway_id, .bytes = secret};
    struct text envelope;
    bool from_root = options->key_file[0] == '/';
    if (!credential_read(from_root ? "/" : ".", options->key_file + from_root, secret, &key.size, why, sizeof(why))) {
        (void)fprintf(stderr, "yanhuo command: --sign %s: %s\n", options->key_file, why);
        return 1;
    }
    bool is_signed = key.size >= COMMAND_KEY_MIN && command_json_sign(&key, verb, json, hmac);
    explicit_bzero(secret, sizeof(secret));
    if (!is_signed) {
        (void)fprintf(stderr, "yanhuo command: the key in %s is shorter than %d bytes; make one with: openssl rand -hex 32\n", options->key_file,
                      COMMAND_KEY_MIN);
        return 1;
    }
    text_init(&envelope, bytes, sizeof(bytes));
    text_add(&envelope, "{\"signed\":");
    text_add_json(&envelope, json);
    text_add(&envelope, ",\"hmac\":\"");
    text_add(&envelope, hmac);
    text_add(&envelope, "\"}");
    if (envelope.full || envelope.length > COMMAND_SIZE) {
        (void)fprintf(stderr, "yanhuo command: signed, this is longer than the %d bytes that a command may have\n", COMMAND_SIZE);
        return 1;
    }
    puts(bytes);
    return 0;
}

static int run(const struct options *options, char **words, int count) {
    char bytes[COMMAND_SIZE + 1];
    struct text json;
    text_init(&json, bytes, sizeof(bytes));
    if (!make_json(options, words + 1, count - 1, &json) || !is_well_written(words[0], bytes))
        return 2;
    return options->key_file ? print_signed(options, words[0], bytes) : send_command(options, words[0], bytes);
}

static const char *user_name(void) {
    const char *names[] = {getenv("SUDO_USER"), getenv("USER"), getenv("LOGNAME")};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        if (names[i] && names[i][0])
            return names[i];
    return "unknown";
}

int command_command(int argc, char **argv) {
    static const struct option names[] = {{"state", required_argument, NULL, 's'}, {"by", required_argument, NULL, 'b'},
                                          {"minutes", required_argument, NULL, 'm'}, {"sign", required_argument, NULL, 'k'},
                                          {"gateway", required_argument, NULL, 'g'}, {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.state_dir = FIELD_STATE_DIR, .by = user_name(), .minutes = 1};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "s:h", names, NULL)) != -1;) {
        if (option == 's')
            options.state_dir = optarg;
        else if (option == 'b')
            options.by = optarg;
        else if (option == 'k')
            options.key_file = optarg;
        else if (option == 'g')
            options.gateway_id = optarg;
        else if (option != 'm') {
            (void)fputs(usage_text, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        } else if (!field_number_read("command", "--minutes", optarg, 1, MINUTES_MAX, &options.minutes))
            return 2;
    }
    if ((options.key_file != NULL) != (options.gateway_id != NULL)) {
        (void)fputs("yanhuo command: --sign and --gateway go together: a signature holds for one gateway only\n", stderr);
        return 2;
    }
    if (optind == argc) {
        list_verbs();
        return 0;
    }
    return run(&options, argv + optind, argc - optind);
}
