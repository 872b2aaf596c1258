/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo checklist -c FILE [--place KEY] [--lang zh|en]: the rules of each place as the list that a person goes through, in plain
 * words. What it says stands in config/checklist.h. Exit status 0, or 2 when the configuration is wrong or has no such place. */
#include "config/checklist.h"

#include <getopt.h>
#include <string.h>

#include "config/schema.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/configuration.h"

struct wish {
    const char *path, *profiles, *place;
    enum checklist_language language;
};

/* False, and said, when there is no such place. */
static bool find_place(const struct config *config, const char *key, uint16_t *ret_place) {
    char text[NEAREST_SIZE];
    struct nearest nearest;
    *ret_place = CONFIG_NONE;
    if (!key)
        return true;
    nearest_init(&nearest, key);
    for (uint16_t i = 0; i < config->places_count; i++) {
        nearest_try(&nearest, config->places[i].key);
        if (strcmp(config->places[i].key, key) == 0)
            *ret_place = i;
    }
    if (*ret_place == CONFIG_NONE)
        fprintf(stderr, "there is no place '%s'%s; what exists stands under 'places:'\n", key, nearest_text(&nearest, text));
    return *ret_place != CONFIG_NONE;
}

static int checklist(const struct wish *wish) {
    struct arena arena;
    const struct config *config;
    uint16_t place;
    arena_init(&arena);
    bool done = configuration_load(wish->path, wish->profiles, &arena, &config) && find_place(config, wish->place, &place);
    if (done)
        checklist_print(config, place, wish->language, stdout);
    arena_done(&arena);
    return done ? 0 : 2;
}

int command_checklist(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"place", required_argument, NULL, 'w'},
                                            {"lang", required_argument, NULL, 'l'},   {"profiles", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct wish wish = {.profiles = config_profiles_dir(), .language = CHECKLIST_BOTH};
    bool usage = false, help = false;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'c')
            wish.path = optarg;
        else if (option == 'w')
            wish.place = optarg;
        else if (option == 'p')
            wish.profiles = optarg;
        else if (option == 'l' && (strcmp(optarg, "zh") == 0 || strcmp(optarg, "en") == 0))
            wish.language = optarg[0] == 'z' ? CHECKLIST_ZH : CHECKLIST_EN;
        else if (option == 'h')
            help = true;
        else
            usage = true;
    }
    if (help || usage || !wish.path || optind < argc) {
        fprintf(help ? stdout : stderr,
                "usage: yanhuo %s -c FILE [--place KEY] [--lang zh|en] [--profiles DIR]\n\n"
                "  -c, --config FILE    the configuration (required)\n"
                "      --place KEY      only this place\n"
                "      --lang zh|en     only this language; both by default\n"
                "      --profiles DIR   device profiles; those installed with the program by default\n\n"
                "The must-check list of each place in plain words: what is watched, from which limit on, how urgent it is, what to do, on what\n"
                "ground, and what is not watched because something is missing. Ends with status 2 when the configuration has an error.\n",
                argv[0]);
        return help ? 0 : 2;
    }
    return checklist(&wish);
}
